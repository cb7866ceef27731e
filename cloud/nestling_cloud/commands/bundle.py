"""Implements `nestling-cloud bundle`, which trains, adapts, shows and exports bundles."""

import argparse
import json
from typing import TYPE_CHECKING, get_args

from rich.console import Console

from nestling_cloud.bundles.export import export_bundle
from nestling_cloud.bundles.overview import behavior_lines, overview, overview_table
from nestling_cloud.bundles.quick_notice import QUICK_NOTICE
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.commands.model_flags import (
    add_data_dir,
    add_from,
    add_repository,
    add_task,
    add_training,
)
from nestling_cloud.progress import ConsoleProgress
from nestling_core.command_line.path_flags import input_file, output_folder
from nestling_core.nest.bundle_files import Activations

if TYPE_CHECKING:
    from nestling_cloud.learning.adaptation import FrameChoice
    from nestling_cloud.tasks import Task


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `bundle` with its own sub-commands."""
    parser = subparsers.add_parser("bundle", help="train, adapt, show and export bundles")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_adapt(commands)
    _add_show(commands)
    _add_export(commands)


def _add_train(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a task's models and release the bundle",
        description="Train the teacher, distill the nested student from it, fit the multiplexer, "
        "and make the bundle the repository's next release. A cloud that serves the repository "
        "offers it at once.",
        epilog="examples:\n"
        "  nestling-cloud bundle train --task wearable --repository repository\n"
        "  nestling-cloud bundle train --task my_task.py:TASK --repository repository --seed 1\n"
        "  nestling-cloud bundle train --task my_task.py:TASK --repository trial --quick\n"
        "  nestling-cloud bundle train --task wearable --repository repository --from november\n",
    )
    _add_learning(parser)
    add_from(parser)
    parser.set_defaults(run=_train)


def _add_adapt(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "adapt",
        help="train a task for a domain without labels, and release the bundle",
        description="Train the teacher on the task's labeled data, distill the nested student from "
        "its answers to unlabeled inputs of another domain, and make the bundle the repository's "
        "next release. Use a separate repository unless all devices are in that domain.",
        epilog="example:\n"
        "  nestling-cloud bundle adapt --task wearable --inputs left.npy --frames inertial "
        "--repository left\n",
    )
    _add_learning(parser)
    add = parser.add_argument
    add(
        "--inputs",
        type=input_file,
        required=True,
        metavar="FILE.npy",
        help="a few hundred inputs of that domain, from all classes: float32, (N, *shape)",
    )
    add(
        "--frames",
        choices=("as-is", "inertial"),
        default="as-is",
        help="sensor mounting in the new domain. as-is: as in the task's data. inertial (channels "
        "ax, ay, az, wx, wy, wz): axes may be reversed, and the reversal that suits the teacher "
        "best is chosen (default: %(default)s)",
    )
    parser.set_defaults(run=_adapt)


def _add_learning(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_task(parser)
    add_repository(parser, output_folder)
    add("--seed", type=int, default=0, help="random seed of the training (default: %(default)s)")
    add_data_dir(parser)
    add_training(parser)


def _add_show(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "show",
        help="show the latest bundle's task, version, capacities, sizes and routing",
        epilog="example:\n  nestling-cloud bundle show --repository repository --json\n",
    )
    add = parser.add_argument
    add_repository(parser)
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_show)


def _add_export(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "export",
        help="write every capacity and the teacher as ONNX files",
        description="Write capacity-k.onnx with its capacity-k.weights for every capacity, "
        "the teacher, and manifest.json. Any ONNX runtime can load them.",
        epilog="examples:\n  nestling-cloud bundle export --repository repository --out models\n"
        "  nestling-cloud bundle export --repository repository --out models --activations int8\n",
    )
    add = parser.add_argument
    add_repository(parser)
    add(
        "--out",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder to write to; new or empty",
    )
    add(
        "--activations",
        choices=get_args(Activations),
        default="uint8",
        help="integer type of the activations, which does not change the answers: uint8 for x86, "
        "int8 for ARM (default: %(default)s)",
    )
    add("--force", action="store_true", help="replace existing files")
    parser.set_defaults(run=_export)


def _train(options: argparse.Namespace) -> None:
    # Importing torch takes seconds; the other commands should not wait for it.
    from nestling_cloud.bundles.cache import keep_torch_cache  # noqa: PLC0415
    from nestling_cloud.bundles.train_release import train_next  # noqa: PLC0415
    from nestling_cloud.inputs.added_training import with_folders  # noqa: PLC0415

    keep_torch_cache()
    task, repository = _task(options), Repository(options.repository)
    splits, added = with_folders(
        task, task.load_checked(options.data_dir, options.seed), options.folders
    )
    for entry in added:
        Console(stderr=True).print(entry.text(), highlight=False)
    released = train_next(
        repository,
        task,
        splits,
        seed=options.seed,
        progress=ConsoleProgress(Console(stderr=True)),
    )
    _print_behavior(repository)
    print(released.bundle_version)


def _task(options: argparse.Namespace) -> "Task":
    """Return the task to train, and hide graphics processors if the user asks for that."""
    from nestling_cloud.learning.torch_device import use_cpu  # noqa: PLC0415
    from nestling_cloud.tasks import load_task, quick_task  # noqa: PLC0415

    if options.cpu:
        use_cpu()
    task = load_task(options.task)
    return quick_task(task) if options.quick else task


def _print_behavior(repository: Repository) -> None:
    console = Console(stderr=True)
    console.print("\n".join(behavior_lines(repository)), highlight=False)
    if repository.manifest().quick:
        console.print(QUICK_NOTICE, style="bold red", highlight=False)


def _adapt(options: argparse.Namespace) -> None:
    from nestling_cloud.bundles.cache import keep_torch_cache  # noqa: PLC0415
    from nestling_cloud.bundles.train_release import adapt_next  # noqa: PLC0415
    from nestling_cloud.learning.adaptation import AdaptationConfig, inertial_frames  # noqa: PLC0415
    from nestling_cloud.learning.adaptation.target_inputs import read_target  # noqa: PLC0415

    keep_torch_cache()
    task, console = _task(options), Console(stderr=True)
    repository = Repository(options.repository)
    released, choice = adapt_next(
        repository,
        task,
        task.load_checked(options.data_dir, options.seed),
        read_target(task, options.inputs),
        AdaptationConfig(frames=inertial_frames() if options.frames == "inertial" else ()),
        seed=options.seed,
        progress=ConsoleProgress(console),
    )
    if options.frames == "inertial":
        console.print(_frame_text(choice), highlight=False)
    _print_behavior(repository)
    print(released.bundle_version)


def _frame_text(choice: "FrameChoice") -> str:
    if choice.gain == 0:
        return "no axes reversed: no other frame is clearly better by the teacher's answers"
    signs = [row[index] for index, row in enumerate(choice.frame)]
    axes = [name for name, sign in zip("xyz", signs[:3], strict=True) if sign < 0]
    return f"reversed axes: {', '.join(axes)} ({choice.gain:.2f} nats more information than as-is)"


def _show(options: argparse.Namespace) -> None:
    repository = Repository(options.repository)
    content = overview(repository)
    if options.json:
        print(json.dumps(content))
    else:
        Console().print(overview_table(content, behavior_lines(repository)), highlight=False)


def _export(options: argparse.Namespace) -> None:
    written = export_bundle(
        Repository(options.repository),
        options.out,
        activations=options.activations,
        force=options.force,
    )
    for path in written:
        print(path)
