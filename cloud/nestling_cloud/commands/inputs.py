"""Implements `nestling-cloud inputs`, which labels, exports and deletes stored inputs."""

import argparse
import getpass
import json
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.commands.confirmation import add_confirmation, confirm
from nestling_cloud.commands.model_flags import add_repository
from nestling_cloud.commands.store_flags import add_store, open_store
from nestling_cloud.commands.time_flags import add_span
from nestling_cloud.console.api.input_schemas import InputMessage
from nestling_cloud.console.data.units import time_utc
from nestling_cloud.errors import CloudError
from nestling_cloud.inputs.export import CLOUD, export_inputs
from nestling_cloud.inputs.label_forms import label_from_words, label_line
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.database import cause_of
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs, StoredInput
from nestling_core.clock import unix_ms
from nestling_core.command_line.path_flags import output_folder

_SHOWN = 100


class InputsError(CloudError):
    """Raised when there is no such stored input, or nothing says which inputs to delete."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `inputs` with its own sub-commands."""
    parser = subparsers.add_parser(
        "inputs",
        help="list, label, export and delete the inputs that devices sent",
        description="Work with the inputs that devices sent to the cloud and that it may store "
        "(the task's keep_inputs). The cloud may run meanwhile.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_list(commands)
    _add_label(commands)
    _add_export(commands)
    _add_delete(commands)


def _add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "list",
        help="list stored inputs, newest first",
        epilog="examples:\n"
        "  nestling-cloud inputs list --repository repository --unlabeled\n"
        "  nestling-cloud inputs list --repository repository --device porch --json\n",
    )
    add_repository(parser)
    add_store(parser)
    _add_filter(parser)
    parser.add_argument(
        "--limit",
        type=_count,
        default=_SHOWN,
        metavar="N",
        help="maximum number of inputs to list (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_list)


def _add_label(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "label",
        help="label a stored input",
        description="Say what the right answer to a stored input is, for training. A labeled input "
        "stays until it is deleted. Labeling it again replaces the label.",
        epilog="examples:\n"
        "  nestling-cloud inputs label 17 Trouser --repository repository\n"
        "  nestling-cloud inputs label 17 --remove --repository repository\n"
        "  nestling-cloud inputs label 17 dog cat --repository repository    (multi-label)\n"
        "  nestling-cloud inputs label 17 --none --repository repository     (multi-label)\n"
        "  nestling-cloud inputs label 17 flow=3.2 --repository repository   (regression)\n",
    )
    parser.add_argument("id", type=_count, metavar="ID", help="the input's id, see `inputs list`")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "label",
        nargs="*",
        default=[],
        metavar="LABEL",
        help="the name of its class; in a multi-label task, of each of its classes; in a "
        "regression task, NAME=NUMBER for each value",
    )
    what.add_argument("--none", action="store_true", help="it has none of the classes")
    what.add_argument("--remove", action="store_true", help="remove the label")
    add_repository(parser)
    add_store(parser)
    parser.add_argument("--json", action="store_true", help="print the input as JSON")
    parser.set_defaults(run=_label)


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "export",
        help="write stored inputs as a folder to train with",
        description="Write inputs as files in one folder for each class, with a table labels.csv. "
        "`bundle train --from` reads the folder. Inputs without a label go to the folder "
        "`unlabeled`. In a multi-label or regression task, all files go to the folder `inputs`.",
        epilog="examples:\n"
        "  nestling-cloud inputs export --repository repository --out november --labeled\n"
        "  nestling-cloud inputs export --repository repository --out porch --device porch "
        "--label-with cloud\n",
    )
    add_repository(parser)
    add_store(parser)
    parser.add_argument(
        "--out",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder to write; new or empty",
    )
    _add_filter(parser)
    parser.add_argument(
        "--label-with",
        choices=(CLOUD,),
        help="label inputs without a label with the cloud's answer, in the table",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=_export)


def _add_delete(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "delete",
        help="delete stored inputs with their labels",
        description="Delete stored inputs, with their labels, and rewrite the database without "
        "them. `nestling-cloud data delete` also deletes everything else of a device or a span.",
        epilog="examples:\n"
        "  nestling-cloud inputs delete --device porch\n"
        "  nestling-cloud inputs delete --until 2026-11-01 --unlabeled --yes\n"
        "  nestling-cloud inputs delete --all --dry-run --json\n",
    )
    add_store(parser)
    _add_filter(parser)
    parser.add_argument("--all", action="store_true", help="all stored inputs")
    add_confirmation(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=_delete)


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="NAME", help="only inputs of this device")
    add_span(parser, "inputs that arrived")
    labeled = parser.add_mutually_exclusive_group()
    for flag, value, text in (("--labeled", True, "with"), ("--unlabeled", False, "without")):
        labeled.add_argument(
            flag,
            dest="has_label",
            action="store_const",
            const=value,
            help=f"only inputs {text} a label",
        )


def _filter(options: argparse.Namespace) -> InputFilter:
    return InputFilter(
        device=options.device,
        labeled=options.has_label,
        since_ms=options.since,
        until_ms=options.until,
    )


def _list(options: argparse.Namespace) -> None:
    released = _released(options.repository)
    with open_store(options) as store:
        inputs, _ = LabeledInputs(store).page(_filter(options), limit=options.limit)
    if options.json:
        print(json.dumps([_as_json(one, released) for one in inputs]))
        return
    for one in inputs:
        device = released.text(one.task, one.device_answer) or "-"
        cloud = released.text(one.task, one.cloud_answer) or "-"
        answers = f"device: {device}  cloud: {cloud}"
        label = "" if one.label is None else f"  {label_line(one.label)} ({one.labeled_by})"
        time = time_utc(one.received_at_ms)
        print(f"{one.id:7}  {time} UTC  {one.device:20}  {answers}{label}")


def _label(options: argparse.Namespace) -> None:
    released = _released(options.repository)
    with open_store(options) as store:
        inputs = LabeledInputs(store)
        one = inputs.find(options.id)
        if one is None:
            raise InputsError(f"no input {options.id} is stored; `inputs list` lists all")
        if options.remove:
            changed = inputs.unlabel(one.id)
        else:
            words: list[str] = options.label
            label = released.check(one, label_from_words(words, released.signature))
            by = f"user {getpass.getuser()}"
            changed = inputs.label(one.id, label, by=by, now_ms=unix_ms())
    if changed is None:
        raise InputsError(f"input {options.id} was deleted meanwhile")
    if options.json:
        print(json.dumps(_as_json(changed, released)))
    else:
        line = "no label" if changed.label is None else label_line(changed.label)
        print(f"input {changed.id}: {line}")


def _export(options: argparse.Namespace) -> None:
    released = _released(options.repository)
    with open_store(options) as store:
        written = export_inputs(
            LabeledInputs(store),
            _filter(options),
            released,
            options.out,
            label_with_cloud=options.label_with == CLOUD,
        )
    if options.json:
        print(json.dumps({**asdict(written), "folder": str(written.folder)}))
        return
    skipped = (
        f", {written.skipped} left out (damaged, or with a label that the task does not have)"
        if written.skipped
        else ""
    )
    print(f"{written.folder}: {written.inputs} inputs, {written.labeled} labeled{skipped}")


def _delete(options: argparse.Namespace) -> None:
    chosen = _filter(options)
    if not options.all and not list(chosen.conditions()):
        raise InputsError("say which inputs to delete: --device, --since, --until or --all")
    with open_store(options) as store:
        inputs = LabeledInputs(store)
        count = inputs.count(chosen)
        if not options.dry_run:
            if count:
                confirm(options, f"{count} inputs would be deleted, with their labels")
            count = _delete_all(inputs, chosen)
    verb = "would be deleted" if options.dry_run else "deleted"
    print(
        json.dumps({"inputs": count, "deleted": not options.dry_run})
        if options.json
        else f"{count} inputs {verb}"
    )


def _delete_all(inputs: LabeledInputs, chosen: InputFilter) -> int:
    try:
        count = inputs.delete(chosen)
    except sa.exc.SQLAlchemyError as err:
        raise InputsError(f"nothing was deleted: {cause_of(err)}; run the command again") from err
    try:
        # Even if there were none: an earlier run may have been killed here.
        inputs.erase_remains()
    except sa.exc.SQLAlchemyError as err:
        raise InputsError(
            "the inputs are deleted, but the database's files may still contain remains of them: "
            f"{cause_of(err)}; run the command again"
        ) from err
    return count


def _released(repository: Path) -> ReleasedLabels:
    return ReleasedLabels.of(Repository(repository).manifest())


def _as_json(one: StoredInput, released: ReleasedLabels) -> dict[str, object]:
    """Return what the API says about an input."""
    return InputMessage.of(one, released).model_dump(mode="json")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) < 2**53:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)
