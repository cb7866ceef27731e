"""The benchmark's students: nests and networks trained alone, in float32."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from rich.console import Console

from benchmarks.learning import teacher
from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.learning.teacher import accuracy, teacher_cell, teacher_of, test_of
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import Examples, Quantization, Task
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import arrays_of, student_of

MODULES = (
    *teacher.MODULES,
    "benchmarks.learning.nests",
    "nestling_core.student",
    "nestling_cloud.learning.distillation",
    "nestling_cloud.learning.nesting",
    "nestling_cloud.recipes",
    "nestling_cloud.learning.train_student",
)
_DRAW = 1_000_003  # between the seeds of two draws


@dataclass(frozen=True, kw_only=True)
class Study:
    """One student in the making.

    Attributes:
        task: sizes and recipes; students are trained without regard to the rounding here.
        seed: of data, teacher and student.
        draw: another student of the same seed: other first weights, another order.
        examples: of the training data that the student learns from, 0 for all.
    """

    task: Task
    seed: int
    draw: int = 0
    examples: int = 0

    def alone(self, capacity: int) -> "Study":
        """The same for one capacity's network by itself."""
        student = self.task.student.alone(capacity)
        return dataclasses.replace(self, task=dataclasses.replace(self.task, student=student))

    def some(self, examples: Examples) -> Examples:
        """The part of the training data that the student learns from: evenly over all of it."""
        if not self.examples or self.examples >= len(examples):
            return examples
        chosen = np.linspace(0, len(examples) - 1, self.examples).astype(np.intp)
        return Examples(inputs=examples.inputs[chosen], labels=examples.labels[chosen])

    @property
    def cell(self) -> Cell:
        """What the student follows from."""
        task = self.task
        return Cell(
            name="student",
            parameters={
                "task": task.name,
                "seed": self.seed,
                "draw": self.draw,
                "examples": self.examples,
                "student": repr(task.student),
                "recipe": dataclasses.asdict(task.student_recipe),
                "distillation": dataclasses.asdict(task.distillation),
                "nesting": dataclasses.asdict(task.nesting),
            },
            modules=MODULES,
            parents=[teacher.describe(task, self.seed).key],
        )


def student_cell(cells: Cells, study: Study) -> Content:
    """`arrays` of a student, `test` and `calibration` accuracy of every capacity, %."""
    teacher = teacher_cell(cells, study.task, study.seed)
    return cells.take(study.cell, lambda: _train(study, teacher))


def student_from(study: Study, content: Content) -> NestedStudent:
    """The network of a student's cell."""
    arrays = {name: array.numpy() for name, array in content["arrays"].items()}
    return student_of(study.task.signature, study.task.student, arrays)


def _train(study: Study, teacher: Content) -> Content:
    assert study.task.teacher_recipe is not None
    assistants = dataclasses.replace(  # have as many threads as their student
        study.task.teacher_recipe, threads=study.task.student_recipe.threads
    )
    task = dataclasses.replace(study.task, teacher_recipe=assistants, quantization=Quantization())
    splits = task.load_checked(None, study.seed)
    student = train_student(
        task,
        teacher_of(task, teacher),
        study.some(splits.train),
        seeded(study.seed + _DRAW * study.draw),
        ConsoleProgress(Console(stderr=True)),
    )
    return {
        "arrays": {name: torch.from_numpy(array) for name, array in arrays_of(student).items()},
        "test": capacities_accuracy(student, test_of(splits)),
        "calibration": capacities_accuracy(student, splits.calibration),
    }


def capacities_accuracy(student: NestedStudent, examples: Examples) -> Sequence[float]:
    """Share of right answers of every capacity, %."""
    return [
        accuracy(partial(student, capacity=capacity), examples)
        for capacity in range(1, student.config.capacities + 1)
    ]
