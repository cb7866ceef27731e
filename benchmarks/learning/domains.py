"""The benchmark's change of domain: a task's labelled wrist, and the other one without labels."""

import dataclasses

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


def domains_cell(cells: Cells, task: Task, seed: int) -> Content | None:
    """`source_only`, `adapted`, `target_trained` shares of right answers by capacity.

    None for a task that has no other domain.
    """
    if task.name != "wearable":
        return None
    cell = Cell(
        name="domains",
        parameters={
            "student": repr(task.student),
            "recipe": dataclasses.asdict(task.student_recipe),
            "distillation": dataclasses.asdict(task.distillation),
            "nesting": dataclasses.asdict(task.nesting),
            "quantization": dataclasses.asdict(task.quantization),
        },
        modules=MODULES,
        parents=[teacher.describe(task, seed).key],
    )
    return cells.take(cell, lambda: _compare(task, seed))


def _compare(task: Task, seed: int) -> Content:
    domains, progress = load_sides(None, seed), ConsoleProgress(Console(stderr=True))
    found = compare(
        task,
        domains,
        source_teacher=train_teacher(task, domains.source, seeded(seed), progress),
        target_teacher=train_teacher(task, domains.target, seeded(seed), progress),
        config=AdaptationConfig(frames=inertial_frames()),
        seed=seed,
        progress=progress,
    )
    return {
        "source_only": list(found.source_only),
        "adapted": list(found.adapted),
        "target_trained": list(found.target_trained),
    }
