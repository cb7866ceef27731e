"""Implements `nestling-cloud data`, which deletes what is stored of a device or a span of time."""

import argparse
import json
from dataclasses import asdict

import sqlalchemy as sa

from nestling import topics
from nestling_cloud.commands.confirmation import add_confirmation, confirm
from nestling_cloud.commands.store_flags import add_store, open_store
from nestling_cloud.commands.time_flags import add_span
from nestling_cloud.console.data.units import time_utc
from nestling_cloud.errors import CloudError
from nestling_cloud.federated import round_deletion, round_log
from nestling_cloud.store import deletion, tables
from nestling_cloud.store.database import cause_of
from nestling_cloud.store.deletion import Contents, Scope
from nestling_cloud.store.store import Store
from nestling_core.clock import unix_ms


class DeletionError(CloudError):
    """Raised when data cannot be deleted, or when nothing says which data to delete."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `data` with its own sub-commands."""
    parser = subparsers.add_parser(
        "data", help="delete everything stored about a device, or from a span of time"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    delete = commands.add_parser(
        "delete",
        help="delete everything stored about a device, or from a span of time",
        description="Delete receipts and follow-ups, their part of all sums, stored inputs with "
        "their labels, the log of targets, and what the results of federated rounds say about "
        "devices. Without --since and --until, the device's targets and its latest report are "
        "deleted too; with them, targets stay, and so does the latest report of a device that is "
        "online. Either all of it is deleted or nothing. Then the database is rewritten without "
        "it. A span is widened to whole hours (UTC), the steps of the sums. The cloud may run "
        "meanwhile. A device that is still in the fleet goes on reporting: remove it first with "
        "`device remove`.",
        epilog="examples:\n"
        "  nestling-cloud data delete --device porch\n"
        "  nestling-cloud data delete --device porch --since 2026-11-01 --until 2026-11-08\n"
        "  nestling-cloud data delete --until 2026-01-01 --yes --json\n",
    )
    add_store(delete)
    delete.add_argument("--device", type=_device, metavar="NAME", help="only data of this device")
    add_span(delete, "data")
    add_confirmation(delete)
    delete.add_argument("--json", action="store_true", help="print one line of JSON")
    delete.set_defaults(run=_delete)


def _delete(options: argparse.Namespace) -> None:
    scope = Scope(device=options.device, since_ms=options.since, until_ms=options.until)
    if scope.device is None and not scope.is_span:
        raise DeletionError("say what to delete: --device, --since or --until")
    if options.since is not None and options.until is not None and options.since >= options.until:
        raise DeletionError("--since is not before --until")
    with open_store(options) as store:
        with store.reading() as connection:
            found = deletion.contents(connection, scope)
            rounds = round_deletion.count_rounds(connection, scope.device, _span(scope))
        if options.dry_run:
            _print(options, scope, found, rounds)
            return
        if not found.is_empty or rounds:
            confirm(options, f"{_text(scope, found, rounds)} would be deleted")
        found, rounds = _delete_all(store, scope)
        # Also if there was nothing: a run before may have been killed here.
        _rewrite(store)
    _print(options, scope, found, rounds)


def _delete_all(store: Store, scope: Scope) -> tuple[Contents, int]:
    try:
        with store.writing() as connection:
            rounds = round_deletion.delete_rounds(connection, scope.device, _span(scope))
            found = deletion.delete(connection, scope, store.retention, now_ms=unix_ms())
    except sa.exc.SQLAlchemyError as err:
        raise DeletionError(f"nothing was deleted: {cause_of(err)}; run the command again") from err
    return found, rounds


def _rewrite(store: Store) -> None:
    names = [*tables.METADATA.tables, round_log.ROUNDS.name]
    try:
        store.rewrite(names)
    except sa.exc.SQLAlchemyError as err:
        raise DeletionError(
            "the data is deleted, but the database's files may still have remains of it, because "
            f"they could not be rewritten: {cause_of(err)}; run the command again"
        ) from err


def _span(scope: Scope) -> tuple[int, int] | None:
    return scope.span if scope.is_span else None


def _print(options: argparse.Namespace, scope: Scope, found: Contents, rounds: int) -> None:
    if options.json:
        since_ms, until_ms = scope.span
        print(
            json.dumps(
                {
                    "deleted": not options.dry_run,
                    "device": scope.device,
                    "since_ms": since_ms if scope.since_ms is not None else None,
                    "until_ms": until_ms if scope.until_ms is not None else None,
                    **asdict(found),
                    "federated_rounds": rounds,
                }
            )
        )
        return
    verb = "would be deleted" if options.dry_run else "deleted"
    print(f"{_text(scope, found, rounds)} {verb}")


def _text(scope: Scope, found: Contents, rounds: int) -> str:
    since_ms, until_ms = scope.span
    who = "every device" if scope.device is None else scope.device
    since = "" if scope.since_ms is None else f", from {time_utc(since_ms)} UTC"
    until = "" if scope.until_ms is None else f", until {time_utc(until_ms)} UTC"
    counts = {**asdict(found), "federated_rounds": rounds}
    parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()]
    return f"{who}{since}{until}: {', '.join(parts)}"


def _device(text: str) -> str:
    try:
        return topics.check_device_id(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
