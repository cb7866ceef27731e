"""Computes all results of the learning benchmark for one task and one seed."""

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
    """The results of one task and one seed.

    Accuracies are in %, except in `domains`. Lists are by capacity, smallest first.

    Attributes:
        teacher: the teacher's cell, with `accuracy` on test data and `seconds` of training.
        rounded: the cell of the full nest in int8, with the task's own quantization.
        plain: the cell of the int8 nest that was distilled from logits and rounded after training.
        aware: the cell of the same nest, but rounded after quantization-aware fine-tuning.
        nested: the test accuracies of the nest that is compared with separate networks, as means
            over the repetitions of the training.
        alone: the test accuracies of separate networks of the same sizes, as means over the
            repetitions of the training.
        distilled: a mapping from distillation variant to the test accuracies.
        families: a mapping from student family to the cell of its int8 nest.
        domains: a mapping from each of `domains.STUDENTS` to its accuracies from 0 to 1, or None
            for a task with one domain.
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
    """Return the cell (the cached result) of a task's full nest in int8.

    If the nest or its teacher has not been trained yet, this is done first.
    """
    return rounded_cell(cells, plan.study(seed), plan.full.quantization)


def run_seed(cells: Cells, plan: Plan, seed: int) -> SeedResult:
    """Return the results of a task and seed, after running the steps that are not cached yet."""
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
    """Return, for each capacity, the test accuracy of a separate network of the same size.

    Args:
        cells: the cache of finished steps.
        nested: the study of the nest with the same capacities.
    """
    return [
        student_cell(cells, nested.alone(capacity))["test"][0]
        for capacity in range(1, nested.task.student.capacities + 1)
    ]


def _means(draws: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over repetitions for each capacity.

    Args:
        draws: for each repetition, the values by capacity.
    """
    return [float(value) for value in np.mean(draws, axis=0)]
