"""Defines what teachers and students minimize in each kind of task."""

import torch
from torch.nn import functional

from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.labels import MultiLabel
from nestling_core.kinds.regression import Regression
from nestling_core.student.losses import distillation_loss, soft_divergence

_LABEL_SMOOTHING = 0.1
# Logarithm of an expected error, in tolerances: from a thousandth to a thousand.
_LARGEST_LOG_ERROR = 7.0
# Scores above e^5 are anomalies beyond doubt, and need not be imitated exactly.
_LARGEST_LOG_SCORE = 5.0


def teacher_loss(kind: Kind, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of a teacher's outputs, a scalar.

    Args:
        kind: the kind of the task, which is not an anomaly task.
        outputs: the teacher's outputs, (N, O).
        labels: the true answers, (N, ...).
    """
    match kind:
        case MultiLabel():
            return functional.binary_cross_entropy_with_logits(outputs, labels.float())
        case Regression():
            return _distance(kind, outputs, labels)
        case _:
            return functional.cross_entropy(outputs, labels, label_smoothing=_LABEL_SMOOTHING)


def student_loss(
    kind: Kind,
    outputs: torch.Tensor,
    labels: torch.Tensor,
    teacher: torch.Tensor | None,
    *,
    temperature: float,
    weight: float,
) -> torch.Tensor:
    """Return the loss of a student that learns from labels and from a teacher, a scalar.

    In an anomaly task, the student only learns from the teacher, because the labels say nothing
    about how unusual an input is.

    Args:
        kind: the kind of the task.
        outputs: the student's outputs, (N, O).
        labels: the true answers, (N, ...).
        teacher: the teacher's outputs, (N, O), or None to learn only from labels.
        temperature: the temperature that softens both distributions over classes.
        weight: the weight of the teacher's answers, 0 to 1. The labels have the rest.
    """
    if isinstance(kind, Regression):
        loss = _distance(kind, outputs, labels)
        if teacher is not None:
            loss = weight * _distance(kind, outputs, teacher) + (1 - weight) * loss
        return loss + _surprise(kind, outputs, labels)
    if isinstance(kind, Anomaly):
        if teacher is None:
            raise ValueError("a student of an anomaly task learns from a teacher")
        return imitation_loss(kind, outputs, teacher, temperature)
    if isinstance(kind, MultiLabel):
        loss = functional.binary_cross_entropy_with_logits(outputs, labels.float())
        if teacher is None:
            return loss
        return weight * imitation_loss(kind, outputs, teacher, temperature) + (1 - weight) * loss
    if teacher is None:
        return functional.cross_entropy(outputs, labels)
    return distillation_loss(outputs, teacher, labels, temperature=temperature, weight=weight)


def imitation_loss(
    kind: Kind, outputs: torch.Tensor, reference: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return how far outputs are from those of a network that is imitated, a scalar.

    Args:
        kind: the kind of the task.
        outputs: the outputs, (N, O).
        reference: the outputs of the other network, without gradient, (N, O).
        temperature: the temperature that softens both distributions over classes.
    """
    match kind:
        case MultiLabel():
            soft = torch.sigmoid(reference / temperature)
            loss = functional.binary_cross_entropy_with_logits(outputs / temperature, soft)
            return temperature**2 * loss
        case Regression():
            values = reference[:, : kind.teacher_outputs]
            return _distance(kind, outputs, values) + _surprise(kind, outputs, values)
        case Anomaly():
            bounded = reference.clamp(-_LARGEST_LOG_SCORE, _LARGEST_LOG_SCORE)
            return functional.smooth_l1_loss(outputs, bounded)
        case _:
            return soft_divergence(outputs, reference, temperature)


def _distance(kind: Regression, outputs: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return Huber's loss of the estimated values, in tolerances (Huber 1964)."""
    errors = (outputs[:, : kind.teacher_outputs] - values) / _tolerances(kind, outputs)
    return functional.huber_loss(errors, torch.zeros_like(errors))


def _surprise(kind: Regression, outputs: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the loss of the expected errors: the surprise at errors with a Laplace distribution.

    It trains only the expected errors and not the estimates, which uncertain inputs would
    otherwise count less for (Kendall & Gal 2017).
    """
    count = kind.teacher_outputs
    errors = (outputs[:, :count].detach() - values).abs() / _tolerances(kind, outputs)
    expected = outputs[:, count:].clamp(-_LARGEST_LOG_ERROR, _LARGEST_LOG_ERROR)
    return (expected + errors * torch.exp(-expected)).mean()


def _tolerances(kind: Regression, like: torch.Tensor) -> torch.Tensor:
    return like.new_tensor(kind.tolerances)
