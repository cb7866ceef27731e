"""Trains the students of the learning benchmark in float32.

The students are nests and, for comparison, separate networks with only one capacity.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

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
_DRAW = 1_000_003  # distance between the seeds of two draws


@dataclass(frozen=True, kw_only=True)
class Study:
    """The description of one student to train.

    Attributes:
        task: the task, with the student's sizes and the recipes. The task's quantization has no
            effect on the training.
        seed: the seed of data, teacher and student.
        draw: the number of this repetition of the training, from 0. Repetitions differ in initial
            weights and data order.
        examples: the number of training examples, or 0 for all.
    """

    task: Task
    seed: int
    draw: int = 0
    examples: int = 0

    def alone(self, capacity: int) -> "Study":
        """Return the study of a separate network that is as large as one capacity.

        Args:
            capacity: the capacity, from 1.
        """
        student = self.task.student.alone(capacity)
        return replace(self, task=replace(self.task, student=student))

    def select(self, examples: Examples) -> Examples:
        """Return the examples to train the student on, selected at even intervals."""
        if not self.examples or self.examples >= len(examples):
            return examples
        chosen = np.linspace(0, len(examples) - 1, self.examples).astype(np.intp)
        return Examples(inputs=examples.inputs[chosen], labels=examples.labels[chosen])

    @property
    def cell(self) -> Cell:
        """The description of the step that trains the student, for the cache."""
        task = self.task
        return Cell(
            name="student",
            parameters={
                "task": task.name,
                "seed": self.seed,
                "draw": self.draw,
                "examples": self.examples,
                **student_parameters(task),
            },
            modules=MODULES,
            parents=[teacher.describe(task, self.seed).key],
        )


def student_parameters(task: Task) -> dict[str, Any]:
    """Return the settings of a task that determine a student, as the parameters of a cell."""
    return {
        "student": repr(task.student),
        "recipe": asdict(task.student_recipe),
        "distillation": asdict(task.distillation),
        "nesting": asdict(task.nesting),
    }


def student_cell(cells: Cells, study: Study) -> Content:
    """Return the cell (the cached result) of a student, which is trained first if it is missing.

    The cell contains the weights as `arrays`, and the accuracies on test and calibration data, in
    %, as the lists `test` and `calibration` by capacity, smallest first.
    """
    teacher = teacher_cell(cells, study.task, study.seed)
    return cells.load_or_make(study.cell, lambda: _train(study, teacher))


def student_from(study: Study, content: Content) -> NestedStudent:
    """Build the trained network from a student's cell."""
    arrays = {name: array.numpy() for name, array in content["arrays"].items()}
    return student_of(study.task.signature, study.task.student, arrays)


def _train(study: Study, teacher: Content) -> Content:
    assert study.task.teacher_recipe is not None
    assistants = replace(  # with as many threads as their student
        study.task.teacher_recipe, threads=study.task.student_recipe.threads
    )
    task = replace(study.task, teacher_recipe=assistants, quantization=Quantization())
    splits = task.load_checked(None, study.seed)
    student = train_student(
        task,
        teacher_of(task, teacher),
        study.select(splits.train),
        seeded(study.seed + _DRAW * study.draw),
        ConsoleProgress(Console(stderr=True)),
    )
    capacities = [partial(student, capacity=k + 1) for k in range(student.config.capacities)]
    test = test_of(splits)
    return {
        "arrays": {name: torch.from_numpy(array) for name, array in arrays_of(student).items()},
        "test": [accuracy(network, test) for network in capacities],
        "calibration": [accuracy(network, splits.calibration) for network in capacities],
    }
