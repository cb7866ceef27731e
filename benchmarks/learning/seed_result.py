"""All results of the learning benchmark for one task and one seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.learning.cells import Cells, Content
from benchmarks.learning.domains import domains_cell
from benchmarks.learning.nests import Study, student_cell
from benchmarks.learning.plan import AWARE, Plan
from benchmarks.learning.rounding import rounded_cell
from benchmarks.learning.teacher import teacher_cell


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """Results of one task and one seed. Accuracies in %, lists by capacity, smallest first.

    Attributes:
        teacher: the teacher's cell, with `accuracy` on test data and `seconds` of training.
        rounded: the full nest in int8, with the task's own quantization.
        plain: int8 nest of the distillation variant "logits", rounded after training.
        aware: the same nest after quantization-aware fine-tuning.
        nested: test accuracies of the nest that is compared with networks trained alone, means
            over draws.
        alone: test accuracies of the networks trained alone, means over draws.
        distilled: test accuracies by distillation variant.
        families: int8 nests by student family.
        domains: accuracies of `domains.STUDENTS`; None for a task with one domain.
    """

    teacher: Content
    rounded: Content
    plain: Content
    aware: Content
    nested: Sequence[float]
    alone: Sequence[float]
    distilled: Mapping[str, Sequence[float]]
    families: Mapping[str, Content]
    domains: Content | None


# Results of all seeds by task.
ByTask = Mapping[str, Sequence[SeedResult]]


def make_full(cells: Cells, plan: Plan, seed: int) -> Content:
    """Make the full teacher, nest and int8 nest of a task, and return the int8 nest's cell."""
    return rounded_cell(cells, plan.study(seed), plan.full.quantization)


def run_seed(cells: Cells, plan: Plan, seed: int) -> SeedResult:
    """Make all missing cells of a task and seed, and return their results."""
    variants, comparisons = plan.studies(plan.distilled, seed), plan.comparisons(seed)
    logits = variants["logits"]
    return SeedResult(
        teacher=teacher_cell(cells, plan.full, seed),
        rounded=make_full(cells, plan, seed),
        plain=rounded_cell(cells, logits, logits.task.quantization),
        aware=rounded_cell(cells, logits, AWARE),
        nested=_means([student_cell(cells, study)["test"] for study in comparisons]),
        alone=_means([_alone(cells, study) for study in comparisons]),
        distilled={name: student_cell(cells, study)["test"] for name, study in variants.items()},
        families={
            name: rounded_cell(cells, study, study.task.quantization)
            for name, study in plan.studies(plan.families, seed).items()
        },
        domains=domains_cell(cells, plan.full, seed),
    )


def _alone(cells: Cells, nested: Study) -> list[float]:
    """Return the test accuracy of every capacity's network trained alone."""
    return [
        student_cell(cells, nested.alone(capacity))["test"][0]
        for capacity in range(1, nested.task.student.capacities + 1)
    ]


def _means(draws: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over draws for each capacity."""
    return [float(value) for value in np.mean(draws, axis=0)]
