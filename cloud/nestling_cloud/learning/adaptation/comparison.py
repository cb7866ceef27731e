"""Measures how much of the accuracy lost in another domain is recovered by adaptation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.learning.adaptation.cross_domain import AdaptationConfig, adapt
from nestling_cloud.learning.input_tensors import InputTensors, split, tensors_of
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.domains import Domains
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.task import Task
from nestling_core.student.network import NestedStudent

# Inputs that are scored at a time.
_SCORED = 512


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The accuracies of three students on the target domain, before quantization.

    Each tuple has one accuracy per capacity, the smallest capacity first. The accuracies are shares
    from 0 to 1.

    Attributes:
        source_only: the accuracies of a student trained on the labeled source.
        adapted: the accuracies of a student trained on the labeled source and the unlabeled target.
        target_trained: the accuracies of a student trained on the target with its labels.
        gain: the gain of the sensor frame (orientation) that was chosen for the adapted student;
            see `FrameChoice`.
    """

    source_only: tuple[float, ...]
    adapted: tuple[float, ...]
    target_trained: tuple[float, ...]
    gain: float


def recovered_share(comparisons: Sequence[Comparison]) -> tuple[float, ...]:
    """Return, for each capacity, the share of the lost accuracy that adaptation recovers.

    The share is (adapted - source only) / (target trained - source only), where each of these
    accuracies is the mean over the comparisons. If the ratios of the comparisons were averaged
    instead, those with a small denominator would dominate. If the denominator is 0, the share is
    not finite.

    Args:
        comparisons: at least one comparison, all with the same number of capacities.

    Returns:
        The share for each capacity, the smallest capacity first.
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
    """Train three students on different data and return their accuracies on the target domain.

    The first student is trained on the labeled source, the second on the labeled source and the
    unlabeled target, and the third on the labeled target. All have the same sizes and recipe.

    Args:
        task: the task, which sets the student's sizes and recipe.
        domains: the data of both domains; accuracies are measured on the part `test`.
        source_teacher: the teacher trained on the labeled source.
        target_teacher: the teacher trained on the target with its labels.
        config: what is known about the shift between the domains.
        seed: the random seed for the training of each student.
        progress: the progress display, advanced once per epoch.

    Raises:
        AdaptationError: the inputs or the frames do not fit the task.
        TeacherFeatureError: a teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
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
    """Return the share of correct answers at every capacity, the smallest capacity first.

    Args:
        student: the nested student in evaluation mode.
        examples: the data to measure on.
    """
    inputs, labels = tensors_of(examples.inputs), torch.from_numpy(examples.labels)
    return tuple(
        (_answers(student, inputs, capacity) == labels).double().mean().item()
        for capacity in range(1, student.config.capacities + 1)
    )


def _answers(student: NestedStudent, inputs: InputTensors, capacity: int) -> torch.Tensor:
    return torch.cat([student(part, capacity).argmax(dim=1) for part in split(inputs, _SCORED)])
