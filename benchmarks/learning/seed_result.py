"""Everything that the learning benchmark finds for one task and one seed."""

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
    """One task, one seed. Accuracies in %, lists by capacity, smallest first.

    Attributes:
        teacher: `accuracy` on test data, `seconds` of training.
        student: the nest in full, float32.
        rounded: its int8 nest as the task rounds it.
        plain: int8 of the nest that the ways to distil begin with, rounded after training.
        aware: the same nest after quantisation-aware fine-tuning.
        nested: test accuracies of the nest that is compared with networks trained alone, means
            over draws.
        alone: theirs.
        distilled: test accuracies by the way to distil.
        families: int8 nests by the family's name.
        domains: source-only, adapted and target-trained accuracies; None without domains.
    """

    teacher: Content
    student: Content
    rounded: Content
    plain: Content
    aware: Content
    nested: Sequence[float]
    alone: Sequence[float]
    distilled: Mapping[str, Sequence[float]]
    families: Mapping[str, Content]
    domains: Content | None


def make_full(cells: Cells, plan: Plan, seed: int) -> None:
    """Make teacher, nest and int8 nest of a task in full, which `find` would make as well."""
    rounded_cell(cells, plan.study(seed), plan.full.quantization)


def find(cells: Cells, plan: Plan, seed: int) -> SeedResult:
    """Make every cell of a task and seed that is not there yet."""
    study, small = plan.study(seed), plan.distillations(seed)["logits"]
    return SeedResult(
        teacher=teacher_cell(cells, plan.full, seed),
        student=student_cell(cells, study),
        rounded=rounded_cell(cells, study, plan.full.quantization),
        plain=rounded_cell(cells, small, small.task.quantization),
        aware=rounded_cell(cells, small, AWARE),
        nested=_means([student_cell(cells, one)["test"] for one in plan.comparisons(seed)]),
        alone=_means([_alone(cells, one) for one in plan.comparisons(seed)]),
        distilled={
            name: student_cell(cells, one)["test"] for name, one in plan.distillations(seed).items()
        },
        families={
            name: rounded_cell(cells, one, one.task.quantization)
            for name, one in plan.students(seed).items()
        },
        domains=domains_cell(cells, plan.full, seed),
    )


def _alone(cells: Cells, nested: Study) -> list[float]:
    """Test accuracy of every capacity's network trained by itself."""
    return [
        student_cell(cells, nested.alone(capacity))["test"][0]
        for capacity in range(1, nested.task.student.capacities + 1)
    ]


def _means(draws: Sequence[Sequence[float]]) -> list[float]:
    """Mean over draws, by capacity."""
    return [float(value) for value in np.mean(draws, axis=0)]
