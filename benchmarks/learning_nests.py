"""The benchmark's students: nests and networks trained alone, in float32."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from rich.console import Console

import learning_teacher
from learning_cells import Cell, Cells, Content
from learning_teacher import accuracy, teacher_cell, teacher_of, test_of
from nestling.student.network import NestedStudent
from nestling.student.weights import arrays_of, student_of
from nestling_cloud.distillation import Distillation, make_views, train_assistants
from nestling_cloud.nesting import Nesting, nest
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import Examples, Task
from nestling_cloud.training import seeded

MODULES = (
    *learning_teacher.MODULES,
    "nestling.student",
    "nestling_cloud.distillation",
    "nestling_cloud.nesting",
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One student in the making.

    Attributes:
        task: the student's sizes and recipe, and the teacher's.
        seed: of data, teacher and student.
        examples: of the training data that the student learns from, 0 for all.
        distillation: how.
        nesting: which way.
    """

    task: Task
    seed: int
    examples: int = 0
    distillation: Distillation = field(default_factory=Distillation)
    nesting: Nesting = field(default_factory=Nesting)

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
        return Cell(
            name="student",
            parameters={
                "task": self.task.name,
                "seed": self.seed,
                "examples": self.examples,
                "student": repr(self.task.student),
                "recipe": dataclasses.asdict(self.task.student_recipe),
                "distillation": dataclasses.asdict(self.distillation),
                "nesting": dataclasses.asdict(self.nesting),
            },
            modules=MODULES,
            parents=[learning_teacher.describe(self.task, self.seed).key],
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
    task, progress = study.task, ConsoleProgress(Console(stderr=True))
    splits = task.load_checked(None, study.seed)
    examples, generator = study.some(splits.train), seeded(study.seed)
    teaches = train_assistants(
        task,
        teacher_of(task, teacher),
        examples,
        study.distillation,
        generator=generator,
        progress=progress,
    )
    views = make_views(task, teaches, examples, generator, study.distillation)
    student = nest(task, views, examples.inputs, generator, progress, nesting=study.nesting)
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
