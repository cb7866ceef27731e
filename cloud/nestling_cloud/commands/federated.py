"""Implements `nestling-cloud federated`, which runs and lists rounds of federated learning."""

import argparse
import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from nestling_cloud.commands.model_flags import add_data_dir, add_repository
from nestling_cloud.commands.network_flags import address, host
from nestling_cloud.commands.serve import port
from nestling_cloud.commands.state_flag import add_state
from nestling_cloud.errors import CloudError
from nestling_cloud.federated import flower_process
from nestling_cloud.federated.flower_process import Link
from nestling_cloud.federated.round_log import Round, RoundLog
from nestling_cloud.federated.run_config import RunConfig
from nestling_cloud.store.store import state_store_url
from nestling_cloud.temporary_files import temporary_folder
from nestling_core.command_line.path_flags import input_file, output_folder
from nestling_core.network.flower_environment import flower_environment
from nestling_core.network.hosts import is_loopback

_SUPERLINK = "127.0.0.1:9092"


class FederatedError(CloudError):
    """Raised when federated rounds cannot run with the given options, or release no bundle."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `federated` with its own sub-commands."""
    parser = subparsers.add_parser(
        "federated", help="train on devices by federated learning, without collecting their data"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_link(commands)
    _add_run(commands)
    _add_rounds(commands)


def _add_link(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "link",
        help="start Flower's SuperLink, which devices connect to",
        description="Start Flower's SuperLink with TLS. It listens on loopback only, because "
        "anyone who can reach it can run code on this machine and on the devices. Ctrl-C stops it.",
        epilog="example:\n  nestling-cloud federated link --certificate server.pem "
        "--key server.key --ca ca.pem\n",
    )
    add = parser.add_argument
    add(
        "--host",
        type=host,
        default="127.0.0.1",
        help="loopback address to listen on (default: %(default)s)",
    )
    add(
        "--port",
        type=port,
        default=9092,
        help="port that devices connect to (default: %(default)s)",
    )
    add(
        "--certificate",
        type=input_file,
        required=True,
        metavar="PEM",
        help="certificate of this SuperLink",
    )
    add(
        "--key", type=input_file, required=True, metavar="PEM", help="the certificate's private key"
    )
    add(
        "--ca",
        type=input_file,
        required=True,
        metavar="PEM",
        help="certificate of the authority that signed it",
    )
    parser.set_defaults(run=_link)


def _add_run(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "run",
        help="run rounds of training and release the result",
        description="Run the rounds at a SuperLink, wait until they end, and report whether a new "
        "bundle was released. The repository and the task's data are read on this machine.",
        epilog="example:\n  nestling-cloud federated run --repository repository --task wearable "
        "--root-certificates ca.pem --rounds 3\n",
    )
    add = parser.add_argument
    add_repository(parser, output_folder)
    add("--task", required=True, metavar="NAME|FILE.py:NAME", help="task of the bundle")
    add("--seed", type=int, default=0, help="random seed the bundle was trained with (default: 0)")
    add_data_dir(parser)
    _add_rules(parser)
    _add_store(parser)
    parser.set_defaults(run=_run)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--superlink",
        type=address,
        default=_SUPERLINK,
        metavar="HOST:PORT",
        help="address of the SuperLink (default: %(default)s)",
    )
    add(
        "--root-certificates",
        type=input_file,
        metavar="PEM",
        help="root certificates that the SuperLink's certificate is verified with",
    )
    add("--rounds", type=_positive, default=5, help="number of rounds (default: %(default)s)")
    add(
        "--min-clients",
        type=_positive,
        default=2,
        help="fewest clients per round (default: 2)",
    )
    add(
        "--local-epochs",
        type=_positive,
        default=4,
        help="epochs that a client trains in a round (default: 4)",
    )
    add(
        "--timeout",
        type=_positive,
        default=600,
        metavar="S",
        help="timeout for a client's answer, seconds (default: 600)",
    )
    add(
        "--margin",
        type=float,
        default=5.0,
        metavar="POINTS",
        help="largest drop in calibration accuracy at which the result is still released, "
        "percentage points (default: 5)",
    )


def _add_rounds(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "rounds",
        help="list the latest rounds and their results",
        epilog="example:\n  nestling-cloud federated rounds --limit 5 --json\n",
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        default=20,
        help="maximum number of rounds (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _add_store(parser)
    parser.set_defaults(run=_rounds)


def _add_store(parser: argparse.ArgumentParser) -> None:
    add_state(parser)
    parser.add_argument(
        "--store",
        metavar="URL|PATH",
        help="database of receipts and rounds (default: receipts.sqlite in the state folder)",
    )


def _link(options: argparse.Namespace) -> None:
    if not is_loopback(options.host):
        raise FederatedError(
            f"{options.host} is not loopback: a SuperLink authenticates nobody and runs the code "
            "that it is sent; let devices connect through a tunnel (docs/federate.md)"
        )
    _check_there(options.certificate, options.key, options.ca)
    command = [
        flower_process.program("flower-superlink"),
        *("--host", options.host, "--port", str(options.port)),
        *("--ssl-certfile", str(options.certificate), "--ssl-keyfile", str(options.key)),
        *("--ssl-ca-certfile", str(options.ca), "--disable-runtime-dependency-installation"),
    ]
    os.execve(command[0], command, flower_environment())  # noqa: S606 - no shell is what we want


def _check_there(*files: Path) -> None:
    """Raise FederatedError if a file does not exist.

    Without this check, Flower would fail later with a less clear message.
    """
    for file in files:
        if not file.is_file():
            raise FederatedError(f"{file} does not exist; name a PEM file")


def _run(options: argparse.Namespace) -> None:
    if options.root_certificates is None and not is_loopback(options.superlink.host):
        raise FederatedError(
            f"{options.superlink} is not loopback and needs TLS: name the certificates to verify "
            "it with by --root-certificates"
        )
    if options.root_certificates is not None:
        _check_there(options.root_certificates)
    store = state_store_url(options.state, options.store)
    name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    config = RunConfig(
        repository=str(options.repository.absolute()),
        store=store,
        task=_absolute(options.task),
        data_dir=str(options.data_dir.absolute()) if options.data_dir else "",
        seed=options.seed,
        run=name,
        rounds=options.rounds,
        min_clients=options.min_clients,
        local_epochs=options.local_epochs,
        timeout_s=float(options.timeout),
        calibration_margin=options.margin / 100,
    )
    link = Link(address=options.superlink, root_certificates=options.root_certificates)
    with temporary_folder(".nestling-rounds-") as folder:
        app, home = folder / "app", folder / "home"
        flower_process.write_app(app, config)
        status = flower_process.run_app(app, home, link, timeout_s=_longest_s(options))
    with RoundLog(store) as log:
        entries = log.rounds(options.rounds, run=name)
    Console().print(_table(entries))
    latest = entries[0] if entries else None
    if status != "completed" or latest is None or latest.released is None:
        verdict = latest.verdict if latest and latest.verdict else "no round was completed"
        raise FederatedError(f"the run {status}: {verdict}")
    print(f"released {latest.released}: {latest.verdict}")


def _rounds(options: argparse.Namespace) -> None:
    with RoundLog(state_store_url(options.state, options.store)) as log:
        entries = log.rounds(options.limit)
    if options.json:
        print(json.dumps([dataclasses.asdict(entry) for entry in entries]))
    else:
        Console().print(_table(entries))


def _table(entries: list[Round]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("run", "round", "clients", "dropped", "kB down", "kB up", "calibration", "result"):
        table.add_column(head)
    for entry in reversed(entries):
        lost = "; ".join(f"{client.device}: {client.reason}" for client in entry.dropped)
        table.add_row(
            entry.run,
            str(entry.number),
            str(len(entry.participants)),
            lost,
            f"{entry.bytes_down / 1000:.0f}",
            f"{entry.bytes_up / 1000:.0f}",
            " ".join(f"{100 * share:.1f}" for share in entry.accuracy),
            entry.released or entry.verdict,
        )
    return table


def _longest_s(options: argparse.Namespace) -> float:
    """Return the longest time that a run may take, in seconds.

    This is the sum of the time limits of the run's messages, plus an hour for the cloud's own
    training.
    """
    return float(options.timeout * (2 * options.rounds + 1) + 3600)


def _absolute(task: str) -> str:
    """Return the name of a task, with an absolute path if the task is in a file.

    The path must be absolute because the server app runs in another folder.
    """
    file, colon, name = task.rpartition(":")
    return f"{Path(file).absolute()}:{name}" if colon else task


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
