"""Implements `nestling-cloud capacities`, which searches for the widths of a task's capacities."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from nestling_cloud.commands.model_flags import add_cpu, add_data_dir, add_task
from nestling_cloud.errors import CloudError
from nestling_cloud.progress import ConsoleProgress
from nestling_core.command_line.path_flags import input_file, input_folder

if TYPE_CHECKING:
    from nestling_cloud.learning.nesting.width_cost import CostOf
    from nestling_cloud.learning.nesting.width_search import SearchResult, WidthSearch
    from nestling_cloud.tasks import Task

_TARGETS = (0.1, 0.3, 0.6, 1.0)


class LatencyMissingError(CloudError):
    """Raised when a search by latency is started without the latencies that a device measured."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `capacities`."""
    parser = subparsers.add_parser(
        "capacities",
        help="search for the widths of a task's capacities",
        description="Train the teacher and one network that runs at any width. Then narrow that "
        "network step by step, each time where it loses the least accuracy, and print every step "
        "together with the widths to copy into the task's StudentConfig.",
        epilog="examples:\n"
        "  nestling-cloud capacities --task wearable\n"
        "  nestling-cloud capacities --task my_task.py:TASK --targets 0.25,1 --epochs 10\n"
        "  nestling-cloud capacities --task wearable --by latency --targets 0.8,0.9,1 \\\n"
        "    --probes probes --table table.json\n",
    )
    _add_flags(parser)
    parser.set_defaults(run=_run)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_task(parser)
    add(
        "--targets",
        type=_targets,
        default=_TARGETS,
        metavar="SHARES",
        help="cost of each capacity as a share of the largest one's, rising to 1 "
        "(default: 0.1,0.3,0.6,1)",
    )
    add(
        "--by",
        choices=("bytes", "latency"),
        default="bytes",
        help="cost that the search reduces (default: %(default)s)",
    )
    add(
        "--probes",
        type=input_folder,
        metavar="DIR",
        help="with --by latency: folder written by nestling-cloud latency probes",
    )
    add(
        "--table",
        type=input_file,
        metavar="FILE",
        help="with --by latency: latencies of the probes, written by nestling-device profile",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="random seed of the data split and the training (default: %(default)s)",
    )
    add_data_dir(parser)
    add_cpu(parser)
    add(
        "--epochs",
        type=_epochs,
        metavar="N",
        help="epochs of the search (default: those of the student's recipe)",
    )
    add("--json", action="store_true", help="print JSON instead of a table")


def _run(options: argparse.Namespace) -> None:
    # Importing torch takes seconds; the other commands should not wait for it.
    from nestling_cloud.bundles.cache import keep_torch_cache  # noqa: PLC0415
    from nestling_cloud.learning.capacity_search import find_capacities  # noqa: PLC0415
    from nestling_cloud.learning.nesting.width_search import WidthSearch  # noqa: PLC0415
    from nestling_cloud.learning.torch_device import use_cpu  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    keep_torch_cache()
    if options.cpu:
        use_cpu()
    search = WidthSearch(targets=options.targets, measure=options.by)
    task = load_task(options.task)
    cost = _cost(task, options)
    if options.epochs:
        task = replace(task, student_recipe=replace(task.student_recipe, epochs=options.epochs))
    splits = task.load_checked(options.data_dir, options.seed)
    result = find_capacities(
        task,
        splits.train,
        cost,
        search,
        seed=options.seed,
        progress=ConsoleProgress(Console(stderr=True)),
    )
    report = {"task": task.name, "seed": options.seed, **_as_json(result, search)}
    if options.json:
        print(json.dumps(report))
    else:
        Console().print(_table(report), highlight=False)
        print(f"widths={result.config.widths}")


def _cost(task: "Task", options: argparse.Namespace) -> "CostOf":
    from nestling_cloud.learning.nesting.width_cost import counted_cost, timed_cost  # noqa: PLC0415

    counted = counted_cost(task.signature, task.student)
    if options.by == "bytes":
        return counted
    if options.probes is None or options.table is None:
        raise LatencyMissingError(
            "a search by latency needs --probes and --table: write probes with nestling-cloud "
            "latency probes, and measure them on the device with nestling-device profile --models"
        )
    from nestling_cloud.latency.model import load_model  # noqa: PLC0415

    model = load_model(options.probes, options.table)
    return timed_cost(counted, lambda row: model.predict(task.signature, task.student, row))


def _as_json(result: "SearchResult", search: "WidthSearch") -> dict[str, Any]:
    """Return the result of a search as JSON values.

    The result has these entries:

    - `by`: the kind of cost, "bytes" or "latency".
    - `targets`: the costs that the capacities may have, as shares of the first point's cost.
    - `widths`: the widths that were found for each capacity, smallest first.
    - `path`: the points (widths) that the search visited, widest first. The `share` of a point
      is its cost as a share of the first point's cost. Its `capacity` is the number of the capacity
      that has these widths, or None if no capacity has them.
    """
    return {
        "by": search.measure,
        "targets": list(search.targets),
        "widths": [list(row) for row in result.config.widths],
        "path": list(_points(result, search)),
    }


def _points(result: "SearchResult", search: "WidthSearch") -> Iterator[dict[str, Any]]:
    from nestling_cloud.learning.nesting.slimming import measured_by  # noqa: PLC0415

    whole = measured_by(search.measure, result.path[0].cost)
    for point in result.path:
        timed = {"latency_us": point.cost.latency_us} if search.measure == "latency" else {}
        chosen = point.widths in result.config.widths
        yield {
            "widths": list(point.widths),
            "bytes": point.cost.bytes,
            **timed,
            "share": measured_by(search.measure, point.cost) / whole,
            "accuracy": point.accuracy,
            "capacity": result.config.widths.index(point.widths) + 1 if chosen else None,
        }


def _table(report: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    timed = report["by"] == "latency"
    for head in ("widths", "bytes", *(["µs"] if timed else []), "share", "accuracy", "capacity"):
        table.add_column(head, justify="right")
    for point in report["path"]:
        table.add_row(
            " ".join(map(str, point["widths"])),
            f"{point['bytes']:,}",
            *([f"{point['latency_us']:.1f}"] if timed else []),
            f"{point['share']:.3f}",
            f"{point['accuracy']:.1%}",
            str(point["capacity"] or ""),
        )
    return table


def _targets(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as err:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of shares; write them as 0.1,0.3,1"
        ) from err


def _epochs(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
