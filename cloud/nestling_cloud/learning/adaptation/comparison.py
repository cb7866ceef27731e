"""Measure how much of the gap that a change of domain opens adaptation recovers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.learning.adaptation.cross_domain import AdaptationConfig, adapt
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.domains import Domains
from nestling_cloud.tasks.task import Examples, Task
from nestling_core.student.network import NestedStudent


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Accuracies on the target domain at every capacity, smallest first, before quantization.

    Attributes:
        source_only: of a student trained on the labeled source.
        adapted: of a student trained on the labeled source and the unlabeled target.
        target_trained: of a student trained on the target with its labels.
        gain: information gained by the chosen frame, nats.
    """

    source_only: tuple[float, ...]
    adapted: tuple[float, ...]
    target_trained: tuple[float, ...]
    gain: float


def recovered_share(comparisons: Sequence[Comparison]) -> tuple[float, ...]:
    """Return the share of the gap that adaptation closes at every capacity.

    It is (adapted - source only) / (target trained - source only), where each accuracy is the mean
    over the seeds: with a ratio for each seed, a seed with a small gap would dominate. NaN where
    there is no gap.
    """
    table = torch.tensor(
        [[each.source_only, each.adapted, each.target_trained] for each in comparisons],
        dtype=torch.float64,
    )
    low, middle, high = table.mean(0)
    return tuple(((middle - low) / (high - low)).tolist())


def compare(
    task: Task,
    domains: Domains,
    *,
    source_teacher: nn.Module,
    target_teacher: nn.Module,
    config: AdaptationConfig,
    seed: int,
    progress: Progress,
) -> Comparison:
    """Train the same student three times by one recipe: without, with and knowing the target.

    Args:
        task: student sizes and recipe.
        domains: training data; accuracies are measured on `test`.
        source_teacher: trained on the labeled source.
        target_teacher: trained on the target with its labels.
        config: settings of the adaptation.
        seed: of each student.
        progress: shows each epoch.

    Raises:
        AdaptationError: inputs or frames that do not fit the task.
        TrainingError: the data is too small, or a loss is no longer finite.
    """
    source, target = domains.source, domains.target
    adapted = adapt(
        task, source_teacher, source, target.inputs, config, seed=seed, progress=progress
    )
    source_only = _distil(task, source_teacher, source, seed, progress)
    target_trained = _distil(task, target_teacher, target, seed, progress)
    return Comparison(
        source_only=accuracies(source_only, domains.test),
        adapted=accuracies(adapted.student, domains.test),
        target_trained=accuracies(target_trained, domains.test),
        gain=adapted.choice.gain,
    )


def _distil(
    task: Task, teacher: nn.Module, examples: Examples, seed: int, progress: Progress
) -> NestedStudent:
    return train_student(task, teacher, examples, seeded(seed), progress)


@torch.no_grad()
def accuracies(student: NestedStudent, examples: Examples) -> tuple[float, ...]:
    """Return the share of right answers at every capacity, smallest first.

    Args:
        student: in evaluation mode.
        examples: data to measure on.
    """
    inputs, labels = torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels)
    return tuple(
        (student(inputs, capacity).argmax(dim=1) == labels).double().mean().item()
        for capacity in range(1, student.config.capacities + 1)
    )
