"""What students and teachers of each kind of task minimize."""

import math

import pytest
import torch

from nestling_cloud.learning.kind_losses import imitation_loss, student_loss, teacher_loss
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.labels import MultiLabel, SingleLabel
from nestling_core.kinds.regression import Regression

CLASSES = SingleLabel(("a", "b", "c"))
LABELS = MultiLabel(("a", "b", "c"))
VALUES = Regression(("pitch", "level"), ("Hz", "dB"), (5.0, 0.5))
SCORE = Anomaly(("normal", "broken"))
SOFT = {"temperature": 2.0, "weight": 0.7}


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "labels"),
    [
        (CLASSES, [[9.0, 0, 0]], [[0.0, 9, 0]], [0]),
        (LABELS, [[9.0, 9, -9]], [[9.0, -9, -9]], [[True, True, False]]),
        (VALUES, [[100.0, 1]], [[110.0, 1]], [[100.0, 1.0]]),
    ],
)
def test_teacher_of_right_answers_has_the_lower_loss(
    kind: SingleLabel | MultiLabel | Regression,
    right: list[list[float]],
    wrong: list[list[float]],
    labels: list[object],
) -> None:
    losses = [teacher_loss(kind, torch.tensor(o), torch.tensor(labels)) for o in (right, wrong)]

    assert losses[0] < losses[1]


def test_errors_of_values_count_in_tolerances() -> None:
    truth = torch.tensor([[100.0, 1.0]])
    pitch, level = (
        teacher_loss(VALUES, torch.tensor([row]), truth) for row in ([110.0, 1.0], [100.0, 2.0])
    )

    assert pitch == pytest.approx(level)  # both are off by two tolerances


def test_student_of_values_learns_how_large_its_errors_are() -> None:
    truth = torch.zeros(1000, 2)
    errors = torch.distributions.Laplace(0.0, 1.0).sample((1000, 2)) * torch.tensor([10.0, 0.1])
    expected = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([expected], lr=0.05)
    for _ in range(400):
        outputs = torch.cat([errors, expected.expand(1000, 2)], 1)
        loss = student_loss(VALUES, outputs, truth, None, **SOFT)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    assert expected.tolist() == pytest.approx([math.log(2), math.log(0.2)], abs=0.1)


def test_expected_error_does_not_move_the_values() -> None:
    outputs = torch.tensor([[110.0, 1.0, 3.0, 3.0]], requires_grad=True)
    certain = torch.tensor([[110.0, 1.0, -3.0, -3.0]], requires_grad=True)
    truth = torch.tensor([[100.0, 1.0]])

    for given in (outputs, certain):
        student_loss(VALUES, given, truth, None, **SOFT).backward()  # type: ignore[no-untyped-call]

    assert outputs.grad is not None
    assert certain.grad is not None
    assert torch.equal(outputs.grad[:, :2], certain.grad[:, :2])


def test_student_of_anomalies_learns_from_the_teacher_alone() -> None:
    outputs, teacher = torch.tensor([[0.5], [-0.5]]), torch.tensor([[0.5], [-0.5]])

    for labels in ([0, 0], [1, 1]):
        loss = student_loss(SCORE, outputs, torch.tensor(labels), teacher, **SOFT)
        assert loss == 0
    with pytest.raises(ValueError, match="learns from a teacher"):
        student_loss(SCORE, outputs, torch.tensor([0, 1]), None, **SOFT)


def test_scores_beyond_doubt_need_not_be_imitated() -> None:
    far, farther = (
        imitation_loss(SCORE, torch.tensor([[5.0]]), torch.tensor([[score]]), 2.0)
        for score in (6.0, 600.0)
    )

    assert far == farther == 0


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_labels_and_teacher_share_the_loss(weight: float) -> None:
    outputs, teacher = torch.tensor([[1.0, -1, 2]]), torch.tensor([[2.0, -2, -2]])
    labels = torch.tensor([[True, False, False]])

    def loss(kind_weight: float) -> float:
        found = student_loss(LABELS, outputs, labels, teacher, temperature=2.0, weight=kind_weight)
        return float(found)

    assert loss(weight) == pytest.approx(weight * loss(1.0) + (1 - weight) * loss(0.0))
