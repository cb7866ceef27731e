"""Implements `nestling-cloud task`, which makes task files from folders and checks tasks."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from nestling_cloud.commands.folder_flags import add_folder, add_wishes, folder_of, wishes_of
from nestling_cloud.commands.model_flags import add_data_dir, add_task
from nestling_cloud.progress import ConsoleProgress
from nestling_core.command_line.path_flags import output_file
from nestling_core.kinds.kind import name_of
from nestling_core.kinds.labels import SingleLabel

if TYPE_CHECKING:
    from nestling_cloud.datasets.survey import Survey


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `task` with its own sub-commands."""
    parser = subparsers.add_parser("task", help="make a task from a folder of data, check a task")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_new(commands)
    _add_check(commands)


def _add_new(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "new",
        help="look at a folder, say what it holds, and write a task file",
        description="Look at a folder of pictures, sounds or recordings, say what it holds and "
        "what looks wrong, and write a task file in TOML, which can be edited.",
        epilog="examples:\n"
        "  nestling-cloud task new --pictures photos\n"
        "      a folder for each class, perhaps below train/ and test/\n"
        "  nestling-cloud task new --sounds clips --pattern '(?P<label>\\d)_(?P<group>[a-z]+)_'\n"
        "      labels and speakers in the files' names\n"
        "  nestling-cloud task new --windows pump --label-column anomaly --length 60 --hop 30\n"
        "      recordings that are cut into windows\n"
        "  nestling-cloud task new --windows pump --target flow -o flow.toml\n"
        "      estimate a column from the others\n",
    )
    add_folder(parser, required=True)
    add = parser.add_argument
    add(
        "-o",
        "--out",
        type=output_file,
        metavar="FILE.toml",
        help="task file to write (default: the name of the task, in the current folder)",
    )
    add("--name", help="name of the task (default: the folder's)")
    add_wishes(parser)
    add(
        "--seed",
        type=int,
        default=0,
        help="random seed for choosing calibration and test groups (default: %(default)s)",
    )
    add("--force", action="store_true", help="replace an existing task file")
    add("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=_new)


def _add_check(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "check",
        help="load a task with its data, and say what it holds",
        description="Load a task, read and check its data as training would, and say what it "
        "holds.",
        epilog="examples:\n  nestling-cloud task check --task photos.toml\n"
        "  nestling-cloud task check --task my_task.py:TASK --json\n",
    )
    add_task(parser)
    add_data_dir(parser)
    add = parser.add_argument
    add("--seed", type=int, default=0, help="random seed of the split (default: %(default)s)")
    add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_check)


def _new(options: argparse.Namespace) -> None:
    # Importing torch takes seconds; the other commands should not wait for it.
    from nestling_cloud.datasets.findings import counts, problems  # noqa: PLC0415
    from nestling_cloud.tasks.new_task import new_task, save  # noqa: PLC0415
    from nestling_cloud.tasks.task_file import load_task_file  # noqa: PLC0415

    found = folder_of(options)
    assert found is not None  # argparse requires one
    media, folder = found
    progress = ConsoleProgress(Console(stderr=True))
    made = new_task(
        media, folder, wishes_of(options, options.seed), progress, name=options.name or ""
    )
    path = options.out or Path(f"{made.name}.toml")
    save(made, path, replace=options.force)
    load_task_file(path)  # whatever is wrong with it is said now
    wrong = problems(made.survey)
    if options.json:
        content = {
            "task": str(path),
            **counts(made.survey),
            "routing": _survey_routing(made.survey),
            "problems": [{"kind": p.kind, "text": p.text, "files": list(p.files)} for p in wrong],
        }
        print(json.dumps(content))
        return
    for line in [*_lines(made.survey), *(f"warning: {problem.text}" for problem in wrong)]:
        print(line)
    print(f"wrote {path}; edit it, then: nestling-sim run --task {path}")


def _lines(survey: "Survey") -> list[str]:
    from nestling_cloud.datasets.findings import counts  # noqa: PLC0415

    found = counts(survey)
    lines = [f"{found['files']} files, {found['kind']}" + _others(found)]
    if "classes" in found and any(found["classes"].values()):
        listed = ", ".join(f"{name} {count}" for name, count in found["classes"].items())
        lines.append(f"{len(found['classes'])} classes: {listed}")
    for key, what in (
        ("sizes", "sizes (height x width)" if found["media"] == "picture" else "sizes"),
        ("modes", "colors"),
        ("rates_hz", "samples a second"),
        ("seconds", "seconds"),
        ("rows", "rows"),
    ):
        if key in found and not (key == "sizes" and found["media"] == "sound"):
            lines.append(
                f"{what}: {', '.join(_counted(name, n) for name, n in found[key].items())}"
            )
    for part, number in found["inputs"].items():
        groups = found["groups"].get(part, [])
        shown = f", groups {', '.join(groups[:8])}{' ...' if len(groups) > 8 else ''}"
        lines.append(f"{part}: {number} inputs{shown if groups else ''}")
    lines.append(_survey_routing(survey))
    return lines


def _others(found: dict[str, Any]) -> str:
    count = found["other_files"]
    if not count:
        return ""
    return f"; {count} other {'file is' if count == 1 else 'files are'} left out"


def _counted(name: str, number: float) -> str:
    return f"{name} {number:g}" if isinstance(number, float) else f"{name}: {number}"


def _survey_routing(survey: "Survey") -> str:
    return _routing(survey.inputs("calibration"), survey.plan.kind.kind)


def _routing(inputs: int, kind: str) -> str:
    """Say what routing such a number of calibration inputs allows in a kind of task."""
    from nestling_cloud.learning.routing import USUAL_NETWORK_INPUTS  # noqa: PLC0415

    if kind != SingleLabel.name:
        return f"{inputs} calibration inputs: routed by the confidence rule of {kind} tasks"
    if inputs < USUAL_NETWORK_INPUTS:
        return (
            f"{inputs} calibration inputs: routed by a plain rule such as the margin; a learned "
            f"router needs about {USUAL_NETWORK_INPUTS}"
        )
    return f"{inputs} calibration inputs: enough to try a learned router"


def _check(options: argparse.Namespace) -> None:
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    task = load_task(options.task)
    splits = task.load_checked(options.data_dir, options.seed)
    test = [len(recording) for recording in splits.test]
    content = {
        "task": task.name,
        "shape": list(task.signature.shape),
        "classes": list(task.signature.classes),
        "inputs": {
            "train": len(splits.train),
            "calibration": len(splits.calibration),
            "test": sum(test),
        },
        "test_recordings": len(test),
        "routing": _routing(len(splits.calibration), name_of(task.signature)),
    }
    if options.json:
        print(json.dumps(content))
        return
    shape = " x ".join(map(str, task.signature.shape))
    values = [value.name for value in task.signature.values]
    answers = (
        f"values {', '.join(values)}" if values else f"classes {', '.join(task.signature.classes)}"
    )
    print(f"{task.name}: inputs {shape}, {answers}")
    for part, number in content["inputs"].items():  # type: ignore[attr-defined]
        print(f"{part}: {number} inputs" + f" in {len(test)} recordings" * (part == "test"))
    print(content["routing"])
