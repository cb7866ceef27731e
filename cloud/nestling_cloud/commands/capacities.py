"""`nestling-cloud capacities`."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from nestling_cloud.errors import CloudError
from nestling_cloud.progress import ConsoleProgress
from nestling_core.command_line.path_flags import input_file, input_folder

if TYPE_CHECKING:
    from nestling_cloud.learning.nesting.width_cost import CostOf
    from nestling_cloud.learning.nesting.width_search import SearchResult, WidthSearch
    from nestling_cloud.tasks import Task

_TARGETS = (0.1, 0.3, 0.6, 1.0)


class LatencyMissingError(CloudError):
    """A search by latency without anything that was measured."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `capacities`."""
    parser = subparsers.add_parser(
        "capacities",
        help="search for the widths of a task's capacities",
        description="Train the teacher and one network that runs at any widths, narrow it step by "
        "step where that costs least accuracy, and print the way with the widths to take into the "
        "task's StudentConfig.",
        epilog="examples:\n"
        "  nestling-cloud capacities --task wearable\n"
        "  nestling-cloud capacities --task my_task.py:TASK --targets 0.25,1 --epochs 10\n"
        "  nestling-cloud capacities --task wearable --by latency --targets 0.8,0.9,1 \\\n"
        "    --probes probes --table table.json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--task", required=True, metavar="NAME|FILE.py:NAME", help="a built-in one, or yours")
    add(
        "--targets",
        type=_targets,
        default=_TARGETS,
        metavar="SHARES",
        help="of the largest capacity's cost, rising to 1 (default: 0.1,0.3,0.6,1)",
    )
    add(
        "--by",
        choices=("bytes", "latency"),
        default="bytes",
        help="what is to be saved (default: %(default)s)",
    )
    add("--probes", type=input_folder, metavar="DIR", help="by latency: as latency probes wrote it")
    add(
        "--table",
        type=input_file,
        metavar="FILE",
        help="by latency: what the device measured of them",
    )
    add("--seed", type=int, default=0, help="of data and training (default: %(default)s)")
    add("--data-dir", type=input_folder, metavar="DIR", help="folder with the task's data files")
    add("--epochs", type=_epochs, metavar="N", help="of the search (default: the student's recipe)")
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # torch takes seconds to import, which the other commands need not wait for.
    from nestling_cloud.bundles.cache import keep_torch_cache  # noqa: PLC0415
    from nestling_cloud.learning.capacity_search import find_capacities  # noqa: PLC0415
    from nestling_cloud.learning.nesting.width_search import WidthSearch  # noqa: PLC0415
    from nestling_cloud.tasks import load_task  # noqa: PLC0415

    keep_torch_cache()
    search = WidthSearch(targets=options.targets, measure=options.by)
    task = load_task(options.task)
    cost = _cost(task, options)
    if options.epochs:
        task = replace(task, student_recipe=replace(task.student_recipe, epochs=options.epochs))
    splits = task.load_checked(options.data_dir, options.seed)
    found = find_capacities(
        task,
        splits.train,
        cost,
        search,
        seed=options.seed,
        progress=ConsoleProgress(Console(stderr=True)),
    )
    told = {"task": task.name, "seed": options.seed, **_told(found, search)}
    if options.json:
        print(json.dumps(told))
    else:
        Console().print(_table(told), highlight=False)
        print(f"widths={found.config.widths}")


def _cost(task: "Task", options: argparse.Namespace) -> "CostOf":
    from nestling_cloud.learning.nesting.width_cost import counted_cost, timed_cost  # noqa: PLC0415

    counted = counted_cost(task.signature, task.student)
    if options.by == "bytes":
        return counted
    if options.probes is None or options.table is None:
        raise LatencyMissingError(
            "a search by latency needs --probes and --table: make probes with nestling-cloud "
            "latency probes, and measure them on the device with nestling-device profile --models"
        )
    from nestling_cloud.latency.model import load_model  # noqa: PLC0415

    model = load_model(options.probes, options.table)
    return timed_cost(counted, lambda row: model.predict(task.signature, task.student, row))


def _told(found: "SearchResult", search: "WidthSearch") -> dict[str, Any]:
    """Tell what was found, ready for JSON; `share` is of the cost that the targets are of."""
    return {
        "by": search.measure,
        "targets": list(search.targets),
        "widths": [list(row) for row in found.config.widths],
        "path": list(_points(found, search)),
    }


def _points(found: "SearchResult", search: "WidthSearch") -> Iterator[dict[str, Any]]:
    from nestling_cloud.learning.nesting.slimming import measured_by  # noqa: PLC0415

    whole = measured_by(search.measure, found.path[0].cost)
    for point in found.path:
        timed = {"latency_us": point.cost.latency_us} if search.measure == "latency" else {}
        chosen = point.widths in found.config.widths
        yield {
            "widths": list(point.widths),
            "bytes": point.cost.bytes,
            **timed,
            "share": measured_by(search.measure, point.cost) / whole,
            "accuracy": point.accuracy,
            "capacity": found.config.widths.index(point.widths) + 1 if chosen else None,
        }


def _table(told: dict[str, Any]) -> Table:
    made = Table(box=box.SIMPLE_HEAD)
    timed = told["by"] == "latency"
    for head in ("widths", "bytes", *(["µs"] if timed else []), "share", "accuracy", "capacity"):
        made.add_column(head, justify="right")
    for point in told["path"]:
        made.add_row(
            " ".join(map(str, point["widths"])),
            f"{point['bytes']:,}",
            *([f"{point['latency_us']:.1f}"] if timed else []),
            f"{point['share']:.3f}",
            f"{point['accuracy']:.1%}",
            str(point["capacity"] or ""),
        )
    return made


def _targets(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"found {text!r}; write shares as 0.1,0.3,1") from err


def _epochs(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"found {text!r}; a whole number of at least 1")
    return int(text)
