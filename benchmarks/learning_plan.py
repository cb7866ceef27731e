"""What the learning benchmark runs: sizes, epochs and subsets, all in one place."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from learning_nests import Study
from nestling_cloud.tasks import (
    Distillation,
    Quantization,
    Recipe,
    StudentConfig,
    Task,
    conv_student,
    load_task,
)

TASKS = ("fashion", "wearable")
# Ways to distil that are compared. In-place distillation between capacities is in all of them.
LOSSES: Mapping[str, Distillation] = {
    "no teacher": Distillation(weight=0.0),
    "logits": Distillation(),
    "logits + hints": Distillation(feature="hints"),
    "logits + attention": Distillation(feature="attention"),
    "logits + angular": Distillation(feature="angular"),
    "one assistant": Distillation(assistants=(16,)),
    "two assistants": Distillation(assistants=(24, 12)),
}
AWARE = Quantization(aware_epochs=2)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run for one task.

    Attributes:
        full: the built-in task: teacher and nest as `nestling-cloud bundle train` makes them.
        compared: its student with fewer epochs, for the networks that are trained alone.
        distilled: a smaller student, for the ways to distil.
        examples: of the training data for `compared` and `distilled`, 0 for all.
        draws: students of one seed for `compared`, whose mean counts: where few inputs are tested,
            two students of one recipe differ by more than what is asked for.
    """

    full: Task
    compared: Task
    distilled: Task
    examples: int
    draws: int

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
        return {
            name: Study(task=task, seed=seed, examples=self.examples)
            for name, task in tasks.items()
        }


def plan_of(name: str, *, quick: bool) -> Plan:
    """The plan for a built-in task; a quick one teaches little and shows that all of it runs."""
    task = load_task(name)
    if name == "fashion":
        small = conv_student(channels=(16, 32, 64), strides=(2, 2, 1))
        plan = _plan(task, epochs=16, student=small, examples=6000, draws=1)
    else:
        plan = _plan(task, epochs=20, student=task.student, examples=0, draws=3)
    return _quick(plan) if quick else plan


def _plan(task: Task, *, epochs: int, student: StudentConfig, examples: int, draws: int) -> Plan:
    compared = dataclasses.replace(task, student_recipe=_epochs(task.student_recipe, epochs))
    return Plan(
        full=task,
        compared=compared,
        distilled=dataclasses.replace(compared, student=student),
        examples=examples,
        draws=draws,
    )


def _quick(plan: Plan) -> Plan:
    assert plan.full.teacher_recipe is not None
    teacher = _epochs(plan.full.teacher_recipe, 1)
    short = {
        name: dataclasses.replace(
            task, teacher_recipe=teacher, student_recipe=_epochs(task.student_recipe, 2)
        )
        for name, task in (
            ("full", plan.full),
            ("compared", plan.compared),
            ("distilled", plan.distilled),
        )
    }
    return Plan(**short, examples=1000, draws=1)


def _epochs(recipe: Recipe, epochs: int) -> Recipe:
    return dataclasses.replace(recipe, epochs=epochs)
