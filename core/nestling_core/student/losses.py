"""Computes distillation losses from logits."""

import torch
from torch.nn import functional


def distillation_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor,
    *,
    temperature: float,
    weight: float,
) -> torch.Tensor:
    """Return the loss of a student that learns from a teacher and from labels (Hinton et al. 2015).

    Args:
        student: the student's logits, (N, classes).
        teacher: the teacher's logits without gradient, (N, classes).
        labels: the class indices, (N,).
        temperature: the temperature T that softens both distributions. The factor T^2 compensates
            for the smaller gradients at a high temperature.
        weight: the weight of the teacher's term, 0 to 1. The weight of the labels' term is 1 minus
            this weight.

    Returns:
        weight * T^2 * KL(teacher_T || student_T) + (1 - weight) * cross entropy, a scalar.
    """
    soft = soft_divergence(student, teacher, temperature)
    return weight * soft + (1 - weight) * functional.cross_entropy(student, labels)


def soft_divergence(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return T^2 * KL(teacher_T || student_T), averaged over the batch, as a scalar.

    With the largest capacity as the teacher, this is the in-place distillation of US-Nets (Yu &
    Huang 2019).

    Args:
        student: the student's logits, (N, classes).
        teacher: the teacher's logits, (N, classes).
        temperature: the temperature T that softens both distributions.
    """
    divergence = functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        log_target=True,
        reduction="batchmean",
    )
    return divergence * temperature**2
