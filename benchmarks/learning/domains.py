"""Measures how students adapt from labeled data of one wrist to unlabeled data of the other."""

from dataclasses import asdict

from rich.console import Console

from benchmarks.learning import nests, teacher
from benchmarks.learning.cells import Cell, Cells, Content
from nestling_cloud.learning.adaptation import AdaptationConfig, compare, inertial_frames
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import Task
from nestling_cloud.tasks.wearable import load_sides

MODULES = (
    *nests.MODULES,
    "benchmarks.learning.domains",
    "nestling_cloud.learning.adaptation",
    "nestling_cloud.tasks.domains",
    "nestling_cloud.tasks.wearable",
)
STUDENTS = ("source_only", "adapted", "target_trained")


def domains_cell(cells: Cells, task: Task, seed: int) -> Content | None:
    """Return the accuracies of each of `STUDENTS` on the target domain.

    Args:
        cells: the cache of finished steps.
        task: the task.
        seed: the seed of data, teachers and students.

    Returns:
        A mapping from the name of the student to its accuracies by capacity, from 0 to 1, smallest
        capacity first. The result is None if the task has only one domain.
    """
    if task.name != "wearable":
        return None
    cell = Cell(
        name="domains",
        parameters={**nests.student_parameters(task), "quantization": asdict(task.quantization)},
        modules=MODULES,
        parents=[teacher.describe(task, seed).key],
    )
    return cells.load_or_make(cell, lambda: _compare(task, seed))


def _compare(task: Task, seed: int) -> Content:
    domains, progress = load_sides(None, seed), ConsoleProgress(Console(stderr=True))
    comparison = compare(
        task,
        domains,
        source_teacher=train_teacher(task, domains.source, seeded(seed), progress),
        target_teacher=train_teacher(task, domains.target, seeded(seed), progress),
        config=AdaptationConfig(frames=inertial_frames()),
        seed=seed,
        progress=progress,
    )
    return {name: list(getattr(comparison, name)) for name in STUDENTS}
