import math

import pytest
import torch
from torch.nn import functional

from nestling_core.student.losses import distillation_loss, soft_divergence

# At temperature 2 the teacher's probabilities are 3/4 and 1/4, the student's 1/2 and 1/2.
TEACHER = torch.tensor([[2 * math.log(3), 0.0]])
STUDENT = torch.tensor([[0.0, 0.0]])
DIVERGENCE = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
LABELS = torch.tensor([1])


def test_divergence_is_kullback_leibler_times_the_squared_temperature() -> None:
    assert soft_divergence(STUDENT, TEACHER, 2.0).item() == pytest.approx(4 * DIVERGENCE)


def test_divergence_is_the_mean_over_the_batch() -> None:
    student = torch.cat([STUDENT, TEACHER])  # the second row agrees with the teacher
    teacher = torch.cat([TEACHER, TEACHER])

    assert soft_divergence(student, teacher, 2.0).item() == pytest.approx(4 * DIVERGENCE / 2)


def test_divergence_of_equal_distributions_is_zero_for_any_offset_of_the_logits() -> None:
    assert soft_divergence(TEACHER + 7.0, TEACHER, 3.0).item() == pytest.approx(0.0, abs=1e-6)


def test_gradient_pulls_the_student_towards_the_teacher() -> None:
    student = STUDENT.clone().requires_grad_()

    (gradient,) = torch.autograd.grad(soft_divergence(student, TEACHER, 2.0), student)

    # T^2 * (1 / T) * (student's probability - teacher's probability)
    assert gradient.tolist() == [pytest.approx([2 * (0.5 - 0.75), 2 * (0.5 - 0.25)])]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.0, math.log(2)),
        (1.0, 4 * DIVERGENCE),
        (0.7, 0.7 * 4 * DIVERGENCE + 0.3 * math.log(2)),
    ],
)
def test_weight_divides_between_teacher_and_labels(weight: float, expected: float) -> None:
    loss = distillation_loss(STUDENT, TEACHER, LABELS, temperature=2.0, weight=weight)

    assert loss.item() == pytest.approx(expected)


def test_labels_are_compared_with_the_student_at_temperature_one() -> None:
    student = torch.tensor([[1.0, 3.0]])

    loss = distillation_loss(student, TEACHER, LABELS, temperature=5.0, weight=0.0)

    assert loss.item() == pytest.approx(functional.cross_entropy(student, LABELS).item())
