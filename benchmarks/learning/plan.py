"""What the learning benchmark runs: sizes, epochs and subsets, all in one place."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.learning.nests import Study
from nestling_cloud.tasks import (
    Distillation,
    Joint,
    Nesting,
    Quantization,
    Recipe,
    StudentConfig,
    Task,
    conv_student,
    deepsense_student,
    load_task,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling_core.student.blocks import Lstm

TASKS = ("fashion", "wearable")
# Ways to distil that are compared.
_VIEWED = Distillation(views=4)
LOSSES: Mapping[str, Distillation] = {
    "no teacher": Distillation(weight=0.0, views=4),
    "logits": _VIEWED,
    "logits + hints": Distillation(feature="hints", views=4),
    "logits + attention": Distillation(feature="attention", views=4),
    "logits + angular": Distillation(feature="angular", views=4),
    "one assistant": Distillation(assistants=(16,), views=4),
    "two assistants": Distillation(assistants=(24, 12), views=4),
}
# Smaller capacities learn half from the teacher's answers and half from the largest one's.
IN_PLACE = Nesting(joint=Joint(teacher_share=0.5))
AWARE = Quantization(aware_epochs=2)
FAMILIES: Mapping[str, Mapping[str, StudentConfig]] = {
    "wearable": {
        "dense": conv_student(channels=(32, 64, 64), kernel=5, strides=(2, 2, 1)),
        "separable": separable_student(channels=(32, 64, 64), kernel=5, strides=(2, 2, 1)),
        "shuffled": shuffle_student(channels=(32, 64, 64), kernel=5, strides=(2, 2, 1), groups=2),
        "a branch a sensor": deepsense_student(sensors=2, branch=(16, 32), fused=(64,)),
        "GRU": recurrent_student(channels=(32, 32), strides=(2, 2), hidden=48),
        "LSTM": recurrent_student(channels=(32, 32), strides=(2, 2), hidden=48, cell=Lstm),
    },
    "fashion": {
        "dense": conv_student(channels=(16, 32, 64), strides=(2, 2, 1)),
        "separable": separable_student(channels=(32, 64, 96), strides=(2, 2, 1)),
        "shuffled": shuffle_student(channels=(32, 64, 96), strides=(2, 2, 1), groups=2),
    },
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run for one task.

    Attributes:
        full: the built-in task: teacher and nest as `nestling-cloud bundle train` makes them.
        compared: its student with a shorter recipe, for the networks that are trained alone.
        distilled: a smaller student or a shorter recipe still, for the ways to distil.
        families: students of other blocks, likewise.
        examples: of the training data for all but the full task, 0 for all.
        draws: students of one seed for `compared`, whose mean counts.
    """

    full: Task
    compared: Task
    distilled: Task
    families: Mapping[str, Task]
    examples: int
    draws: int

    @property
    def takes_all_cores(self) -> bool:
        """Whether the nest in full is trained on more than one."""
        return self.full.student_recipe.threads > 1

    def study(self, seed: int) -> Study:
        """The nest in full."""
        return Study(task=self.full, seed=seed)

    def comparisons(self, seed: int) -> list[Study]:
        """The nests that networks trained alone are compared with."""
        return [
            Study(task=self.compared, seed=seed, draw=draw, examples=self.examples)
            for draw in range(self.draws)
        ]

    def distillations(self, seed: int) -> dict[str, Study]:
        """The nest for each way to distil."""
        tasks = {
            name: dataclasses.replace(self.distilled, distillation=way)
            for name, way in LOSSES.items()
        }
        tasks["logits, half in place"] = dataclasses.replace(
            self.distilled, distillation=_VIEWED, nesting=IN_PLACE
        )
        return self._studies(tasks, seed)

    def students(self, seed: int) -> dict[str, Study]:
        """The nest of each family."""
        return self._studies(self.families, seed)

    def _studies(self, tasks: Mapping[str, Task], seed: int) -> dict[str, Study]:
        return {
            name: Study(task=task, seed=seed, examples=self.examples)
            for name, task in tasks.items()
        }


def plan_of(name: str, *, quick: bool) -> Plan:
    """The plan for a built-in task; a quick one teaches little and shows that all of it runs."""
    task = load_task(name)
    plan = _fashion(task) if name == "fashion" else _wearable(task)
    return _quick(plan) if quick else plan


def _fashion(task: Task) -> Plan:
    """Few pictures, so smaller batches: they are steps enough. Two seeds share the cores."""
    compared = dataclasses.replace(
        task,
        student_recipe=dataclasses.replace(
            task.student_recipe, epochs=8, batch=64, learning_rate=3e-3, threads=1
        ),
        distillation=_VIEWED,
    )
    small = conv_student(channels=(16, 32, 64), strides=(2, 2, 1))
    return Plan(
        full=task,
        compared=compared,
        distilled=dataclasses.replace(compared, student=small),
        families=_families(compared),
        examples=4000,
        draws=1,
    )


def _wearable(task: Task) -> Plan:
    """All inputs; students of one recipe differ by more than what is asked for, so three each."""
    short = dataclasses.replace(
        task, student_recipe=_epochs(task.student_recipe, 8), distillation=_VIEWED
    )
    return Plan(
        full=task,
        compared=dataclasses.replace(task, student_recipe=_epochs(task.student_recipe, 20)),
        distilled=short,
        families=_families(short),
        examples=0,
        draws=3,
    )


def _families(task: Task) -> dict[str, Task]:
    return {
        name: dataclasses.replace(task, student=student)
        for name, student in FAMILIES[task.name].items()
    }


def _quick(plan: Plan) -> Plan:
    families = {name: _short(task) for name, task in plan.families.items()}
    return Plan(
        full=_short(plan.full),
        compared=_short(plan.compared),
        distilled=_short(plan.distilled),
        families=families,
        examples=1000,
        draws=1,
    )


def _short(task: Task) -> Task:
    assert task.teacher_recipe is not None
    return dataclasses.replace(
        task,
        teacher_recipe=_epochs(task.teacher_recipe, 1),
        student_recipe=_epochs(task.student_recipe, 2),
    )


def _epochs(recipe: Recipe, epochs: int) -> Recipe:
    return dataclasses.replace(recipe, epochs=epochs)
