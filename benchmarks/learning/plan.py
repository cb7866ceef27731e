"""Defines what the learning benchmark trains: network sizes, epochs and subsets of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.learning.nests import Study
from nestling_cloud.tasks import (
    Distillation,
    Joint,
    Nesting,
    Quantization,
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
_VIEWED = Distillation(views=4)
# Distillation variants.
LOSSES: Mapping[str, Distillation] = {
    "no teacher": Distillation(weight=0.0, views=4),
    "logits": _VIEWED,
    "logits + hints": Distillation(feature="hints", views=4),
    "logits + attention": Distillation(feature="attention", views=4),
    "logits + angular": Distillation(feature="angular", views=4),
    "one assistant": Distillation(assistants=(16,), views=4),
    "two assistants": Distillation(assistants=(24, 12), views=4),
}
# Smaller capacities learn half from the teacher's logits and half from the largest capacity's.
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
    """The networks to train for one task.

    Attributes:
        full: the built-in task, whose teacher and nest are trained as `nestling-cloud bundle train`
            trains them.
        compared: the task with a shorter recipe, for the comparison of nests with separate
            networks.
        distilled: a mapping from distillation variant to the task with that variant, which also has
            a smaller student or an even shorter recipe.
        families: a mapping from student family to the task with a student of that family.
        examples: the number of training examples for all tasks but `full`, or 0 for all examples.
        draws: the number of times that `compared` is trained for each seed. The results are
            averaged.
    """

    full: Task
    compared: Task
    distilled: Mapping[str, Task]
    families: Mapping[str, Task]
    examples: int
    draws: int

    @property
    def takes_all_cores(self) -> bool:
        """Whether the full nest is trained with more than one thread."""
        return self.full.student_recipe.threads > 1

    def study(self, seed: int) -> Study:
        """Return the study (the description of a student to train) of the full nest."""
        return Study(task=self.full, seed=seed)

    def comparisons(self, seed: int) -> list[Study]:
        """Return the studies of the nests that are compared with separate networks.

        There is one study for each repetition of the training.
        """
        return [
            Study(task=self.compared, seed=seed, draw=draw, examples=self.examples)
            for draw in range(self.draws)
        ]

    def studies(self, tasks: Mapping[str, Task], seed: int) -> dict[str, Study]:
        """Return the studies of all variants or families, keyed by name.

        Args:
            tasks: a mapping from name to task, which is `distilled` or `families`.
            seed: the seed of data, teacher and students.
        """
        return {
            name: Study(task=task, seed=seed, examples=self.examples)
            for name, task in tasks.items()
        }


def plan_of(name: str, *, quick: bool) -> Plan:
    """Return the plan for a built-in task.

    Args:
        name: the name of the task, one of `TASKS`.
        quick: whether to train very little, which only shows that everything runs.
    """
    task = load_task(name)
    plan = _fashion(task) if name == "fashion" else _wearable(task)
    if not quick:
        return plan
    return Plan(
        full=_short(plan.full),
        compared=_short(plan.compared),
        distilled={name: _short(task) for name, task in plan.distilled.items()},
        families={name: _short(task) for name, task in plan.families.items()},
        examples=1000,
        draws=1,
    )


def _fashion(task: Task) -> Plan:
    """Return the plan for `fashion`, in which most students learn from few pictures.

    These students use small batches, so that they take enough training steps despite the few
    pictures. They are trained with one thread, so that two seeds can be trained at the same time.
    """
    recipe = replace(task.student_recipe, epochs=8, batch=64, learning_rate=3e-3, threads=1)
    compared = replace(task, student_recipe=recipe, distillation=_VIEWED)
    small = conv_student(channels=(16, 32, 64), strides=(2, 2, 1))
    return Plan(
        full=task,
        compared=compared,
        distilled=_variants(replace(compared, student=small)),
        families=_families(compared),
        examples=4000,
        draws=1,
    )


def _wearable(task: Task) -> Plan:
    """Return the plan for `wearable`, whose students learn from all inputs.

    For the comparison with networks trained alone, the accuracies of three students are averaged
    for each seed. The accuracy of a single student varies between repetitions by more than the
    benchmark's goal for this comparison allows.
    """
    short, longer = (replace(task.student_recipe, epochs=epochs) for epochs in (8, 20))
    distilled = replace(task, student_recipe=short, distillation=_VIEWED)
    return Plan(
        full=task,
        compared=replace(task, student_recipe=longer),
        distilled=_variants(distilled),
        families=_families(distilled),
        examples=0,
        draws=3,
    )


def _variants(task: Task) -> dict[str, Task]:
    variants = {name: replace(task, distillation=loss) for name, loss in LOSSES.items()}
    return {
        **variants,
        "logits, half in place": replace(task, distillation=_VIEWED, nesting=IN_PLACE),
    }


def _families(task: Task) -> dict[str, Task]:
    return {name: replace(task, student=student) for name, student in FAMILIES[task.name].items()}


def _short(task: Task) -> Task:
    assert task.teacher_recipe is not None
    return replace(
        task,
        teacher_recipe=replace(task.teacher_recipe, epochs=1),
        student_recipe=replace(task.student_recipe, epochs=2),
    )
