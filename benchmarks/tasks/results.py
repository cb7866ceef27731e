"""Runs the parts of the benchmark of tasks, and holds their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.learning.cells import Cell, Cells
from benchmarks.scenario import run_scenario
from benchmarks.tasks.learned import Learned, learn_once
from benchmarks.tasks.lines import measure_lines
from benchmarks.tasks.memory import measure
from benchmarks.tasks.plan import LINES, MEMORY, SIMULATE, WATER_LOOP, Trained, trained
from benchmarks.tasks.routed import Margins, Routed, measure_margins, measure_routed
from nestling_cloud.tasks import Task, quick_task
from nestling_cloud.temporary_files import temporary_folder
from nestling_core.kinds.labels import SingleLabel

_PICTURES, _QUICK_PICTURES = 50_000, 500


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The results of one task and seed.

    Attributes:
        learned: the trained task.
        routed: the quality of the device, the cloud and both.
        margins: how much better our router is than margin; None in other kinds than single-label.
    """

    learned: Learned
    routed: Routed
    margins: Margins | None


@dataclass(kw_only=True)
class Results:
    """The results of all parts that were run.

    Attributes:
        tasks: the results of all seeds, by the name of the task.
        lines: the lines that a user writes, by what the user has; empty if not counted.
        memory: the figures of `benchmarks.tasks.memory`; empty if not measured.
        simulated: the summary of each first run of the default scenario.
    """

    tasks: dict[str, list[TaskResult]] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    simulated: list[Mapping[str, Any]] = field(default_factory=list)


def run_parts(cells: Cells, parts: Sequence[str], seeds: Sequence[int], *, quick: bool) -> Results:
    """Run parts of the benchmark and return their results.

    Args:
        cells: the cache of finished steps.
        parts: the names of the parts, in the order in which they run.
        seeds: the seeds. Some tasks have fewer, and the water loop has more.
        quick: whether to train and measure very little, which only shows that everything runs.
    """
    results = Results()
    for part in parts:
        for one in trained(part):
            results.tasks[one.name] = _run_task(cells, one, _seeds(part, one, seeds, quick), quick)
        if part == LINES:
            with temporary_folder(".nestling-bench-") as folder:
                results.lines = measure_lines(folder)
        elif part == MEMORY:
            results.memory = _memory(cells, _QUICK_PICTURES if quick else _PICTURES)
        elif part == SIMULATE:
            with temporary_folder(".nestling-bench-") as folder:
                results.simulated = [run_scenario("wearable", seeds[0], folder)]
    return results


def _seeds(part: str, one: Trained, seeds: Sequence[int], quick: bool) -> Sequence[int]:
    if part == WATER_LOOP and not quick:  # recordings are few, and training is cheap
        return range(seeds[0], seeds[0] + one.seeds)
    return seeds[: one.seeds]


def _run_task(cells: Cells, one: Trained, seeds: Sequence[int], quick: bool) -> list[TaskResult]:
    with temporary_folder(".nestling-bench-") as folder:
        task = one.task(folder)
        if quick:
            task = quick_task(task)
        return [measure_task(cells, task, seed) for seed in seeds]


def measure_task(cells: Cells, task: Task, seed: int) -> TaskResult:
    """Return the results of a task and seed; missing models are trained first.

    Args:
        cells: the cache of finished steps.
        task: the task.
        seed: the seed of the split, the weights and the fits.
    """
    learned = learn_once(cells, task, seed)
    single = isinstance(learned.kind, SingleLabel)
    return TaskResult(
        learned=learned,
        routed=measure_routed(learned, seed),
        margins=measure_margins(learned, seed) if single else None,
    )


def _memory(cells: Cells, count: int) -> Mapping[str, float]:
    cell = Cell(
        name="memory",
        parameters={"pictures": count},
        modules=(
            "benchmarks.tasks.memory",
            "nestling_cloud.learning",
            "nestling_cloud.tasks.stored_inputs",
        ),
    )
    return cells.load_or_make(cell, lambda: dict(measure(count)))
