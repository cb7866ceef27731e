"""`nestling-cloud bundle`."""

import argparse
import json
from pathlib import Path
from typing import get_args

from rich.console import Console

from nestling.bundle import Activations
from nestling_cloud.bundles.export import export_bundle
from nestling_cloud.bundles.overview import overview, overview_table
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import ConsoleProgress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and what can be done with one."""
    parser = subparsers.add_parser(
        "bundle", help="train and release a bundle, look at it, or take it out"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
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
    add = parser.add_argument
    add("--task", required=True, metavar="NAME|FILE.py:NAME", help="a built-in one, or yours")
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--seed", type=int, default=0, help="of the training (default: %(default)s)")
    add("--data-dir", type=Path, metavar="DIR", help="folder with the task's data files")
    parser.set_defaults(run=_train)


def _add_show(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "show",
        help="tell task, version, capacities and sizes",
        epilog="example:\n  nestling-cloud bundle show --repository repository --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_show)


def _add_export(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "export",
        help="write every capacity, the routers and the teacher as ONNX files",
        description="Write capacity-k.onnx with its capacity-k.weights for every capacity, "
        "multiplexer.onnx, accept_head.onnx, the teacher, and manifest.json. Any ONNX runtime "
        "loads them.",
        epilog="examples:\n  nestling-cloud bundle export --repository repository --out models\n"
        "  nestling-cloud bundle export --repository repository --out models --activations int8\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--out", type=Path, required=True, metavar="DIR", help="where to; new or empty")
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
    from nestling_cloud.bundles.next_release import train_next  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    task = load_task(options.task)
    released = train_next(
        Repository(options.repository),
        task,
        task.load_checked(options.data_dir, options.seed),
        seed=options.seed,
        progress=ConsoleProgress(Console(stderr=True)),
    )
    print(released.bundle_version)


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
