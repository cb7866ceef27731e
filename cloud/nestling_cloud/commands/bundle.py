"""`nestling-cloud bundle`."""

import argparse
import json
from typing import TYPE_CHECKING, get_args

from rich.console import Console

from nestling_cloud.bundles.export import export_bundle
from nestling_cloud.bundles.guarantee_text import guarantee_lines
from nestling_cloud.bundles.overview import overview, overview_table
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import ConsoleProgress
from nestling_core.command_line.path_flags import input_file, input_folder, output_folder
from nestling_core.nest.bundle_files import Activations

if TYPE_CHECKING:
    from nestling_cloud.learning.adaptation import FrameChoice


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and what can be done with one."""
    parser = subparsers.add_parser(
        "bundle", help="train and release a bundle, look at it, or take it out"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_adapt(commands)
    _add_show(commands)
    _add_export(commands)


def _add_train(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "train",
        help="learn a task and release the bundle",
        description="Train the teacher, distil the nest, fit what routes, and make it the "
        "repository's next release. A cloud that serves the repository offers it at once.",
        epilog="examples:\n"
        "  nestling-cloud bundle train --task wearable --repository repository\n"
        "  nestling-cloud bundle train --task my_task.py:TASK --repository repository --seed 1\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_learning(parser)
    parser.set_defaults(run=_train)


def _add_adapt(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "adapt",
        help="learn a task for a domain that nobody has labelled, and release the bundle",
        description="Train the teacher on the task's labelled data, distil the nest from what it "
        "says of inputs of another domain, and make it the repository's next release: name a "
        "repository of its own unless all devices are in that domain.",
        epilog="example:\n"
        "  nestling-cloud bundle adapt --task wearable --inputs left.npy --frames inertial "
        "--repository left\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_learning(parser)
    add = parser.add_argument
    add(
        "--inputs",
        type=input_file,
        required=True,
        metavar="FILE.npy",
        help="a few hundred inputs of that domain, of all classes: float32, (N, *shape)",
    )
    add(
        "--frames",
        choices=("as-is", "inertial"),
        default="as-is",
        help="how the sensor may lie there: as it did, or (for ax, ay, az, wx, wy, wz) with axes "
        "reversed, whichever the teacher finds (default: %(default)s)",
    )
    parser.set_defaults(run=_adapt)


def _add_learning(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--task", required=True, metavar="NAME|FILE.py:NAME", help="a built-in one, or yours")
    add(
        "--repository",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder of the releases",
    )
    add("--seed", type=int, default=0, help="of the training (default: %(default)s)")
    add("--data-dir", type=input_folder, metavar="DIR", help="folder with the task's data files")


def _add_show(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "show",
        help="tell task, version, capacities and sizes",
        epilog="example:\n  nestling-cloud bundle show --repository repository --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--repository",
        type=input_folder,
        required=True,
        metavar="DIR",
        help="folder of the releases",
    )
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_show)


def _add_export(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "export",
        help="write every capacity and the teacher as ONNX files",
        description="Write capacity-k.onnx with its capacity-k.weights for every capacity, "
        "the teacher, and manifest.json. Any ONNX runtime loads them.",
        epilog="examples:\n  nestling-cloud bundle export --repository repository --out models\n"
        "  nestling-cloud bundle export --repository repository --out models --activations int8\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--repository",
        type=input_folder,
        required=True,
        metavar="DIR",
        help="folder of the releases",
    )
    add("--out", type=output_folder, required=True, metavar="DIR", help="where to; new or empty")
    add(
        "--activations",
        choices=get_args(Activations),
        default="uint8",
        help="integers that the capacities compute in, with the same answers: uint8 for x86, int8 "
        "for ARM (default: %(default)s)",
    )
    add("--force", action="store_true", help="replace files that are there")
    parser.set_defaults(run=_export)


def _train(options: argparse.Namespace) -> None:
    # torch takes seconds to import, which the other commands need not wait for.
    from nestling_cloud.bundles.cache import keep_torch_cache  # noqa: PLC0415
    from nestling_cloud.bundles.train_release import train_next  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    keep_torch_cache()
    task, repository = load_task(options.task), Repository(options.repository)
    released = train_next(
        repository,
        task,
        task.load_checked(options.data_dir, options.seed),
        seed=options.seed,
        progress=ConsoleProgress(Console(stderr=True)),
    )
    _print_guarantees(repository)
    print(released.bundle_version)


def _print_guarantees(repository: Repository) -> None:
    """What the new bundle guarantees, and what its calibration inputs cannot support."""
    told = guarantee_lines(overview(repository)["guarantees"])
    Console(stderr=True).print("\n".join(told), highlight=False)


def _adapt(options: argparse.Namespace) -> None:
    from nestling_cloud.bundles.cache import keep_torch_cache  # noqa: PLC0415
    from nestling_cloud.bundles.train_release import adapt_next  # noqa: PLC0415
    from nestling_cloud.learning.adaptation import AdaptationConfig, inertial_frames  # noqa: PLC0415
    from nestling_cloud.learning.adaptation.target_inputs import read_target  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    keep_torch_cache()
    task, console = load_task(options.task), Console(stderr=True)
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
        console.print(_frame_told(choice), highlight=False)
    _print_guarantees(repository)
    print(released.bundle_version)


def _frame_told(choice: "FrameChoice") -> str:
    if choice.gain == 0:
        return "the sensor lies as it did, as far as the teacher can tell"
    signs = [row[index] for index, row in enumerate(choice.frame)]
    axes = [name for name, sign in zip("xyz", signs[:3], strict=True) if sign < 0]
    return f"reversed axes: {', '.join(axes)} ({choice.gain:.2f} nats clearer than as it was)"


def _show(options: argparse.Namespace) -> None:
    told = overview(Repository(options.repository))
    if options.json:
        print(json.dumps(told))
    else:
        Console().print(overview_table(told), highlight=False)


def _export(options: argparse.Namespace) -> None:
    written = export_bundle(
        Repository(options.repository),
        options.out,
        activations=options.activations,
        force=options.force,
    )
    for path in written:
        print(path)
