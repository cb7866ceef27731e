"""Losses that let a small network learn from a large one. All are pure functions of logits."""

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
    """Logits transfer with temperature (Hinton et al. 2015).

    Args:
        student: logits (N, classes).
        teacher: logits (N, classes), without gradient.
        labels: class indices (N,).
        temperature: softens both distributions; the gradient is scaled back by its square.
        weight: 0 to 1, of the teacher's word against the labels'.

    Returns:
        weight * T^2 * KL(teacher_T || student_T) + (1 - weight) * cross entropy, a scalar.
    """
    soft = soft_divergence(student, teacher, temperature)
    return weight * soft + (1 - weight) * functional.cross_entropy(student, labels)


def soft_divergence(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 * KL(teacher_T || student_T), mean over the batch.

    With the largest capacity's logits as the teacher this is the in-place distillation of US-Nets
    (Yu & Huang 2019).
    """
    divergence = functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        log_target=True,
        reduction="batchmean",
    )
    return divergence * temperature**2
