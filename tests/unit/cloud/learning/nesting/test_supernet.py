import pytest
import torch

from nestling_cloud.learning.distillation import Batch
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.nesting.supernet import Supernet, supernet_loss
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import NestingError
from nestling_cloud.tasks import Signature
from nestling_core.student.blocks import Conv, Depthwise
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
)
from nestling_core.student.losses import soft_divergence
from nestling_core.student.sandwich import TEMPERATURE

SIGNATURE = Signature(shape=[4, 12], classes=["a", "b", "c"])
FAMILIES = {
    "conv": conv_student(channels=(4, 6), strides=(2, 1)),
    "separable": separable_student(channels=(4, 6), strides=(2, 1)),
    "depthwise first": StudentConfig(blocks=(Depthwise(), Conv(channels=6))),
    "sensors": deepsense_student(sensors=2, branch=(4, 6), fused=(6,)),
    "sensors only": deepsense_student(sensors=2, branch=(4, 6), fused=()),
}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_supernet_runs_at_any_width_and_ignores_the_rest(family: str) -> None:
    torch.manual_seed(0)
    supernet = Supernet(SIGNATURE, FAMILIES[family])
    inputs = torch.randn(6, 4, 12)
    widths = tuple(2 for _ in FAMILIES[family].whole)
    before = supernet(inputs, widths)

    supernet.head[:, 2:] = 99  # beyond the two channels, or the one position of two groups

    assert before.shape == (6, 3)
    assert torch.equal(supernet(inputs, widths), before)


@torch.no_grad()
def test_supernet_normalizes_by_the_statistics_of_the_first_inputs_only() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SIGNATURE, FAMILIES["conv"])
    inputs = torch.randn(9, 4, 12)

    eight, nine = (supernet(inputs[:count], (2, 4), 6) for count in (8, 9))

    assert torch.allclose(eight, nine[:8], atol=1e-6)
    assert not torch.allclose(eight, supernet(inputs[:8], (2, 4)), atol=1e-3)


def test_supernet_learns_from_the_teacher_at_its_largest_and_from_itself_below() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SIGNATURE, FAMILIES["conv"])
    inputs, distillation = torch.randn(6, 4, 12), Distillation(weight=0.4)
    batch = Batch(inputs=inputs, labels=torch.randint(3, (6,)), logits=torch.randn(6, 3))

    loss = supernet_loss(supernet, batch, distillation, [(4, 6), (1, 1), (3, 2)])

    largest = supernet(inputs, (4, 6))
    expected = (
        answer_loss(largest, batch, distillation)
        + soft_divergence(supernet(inputs, (1, 1)), largest, TEMPERATURE)
        + soft_divergence(supernet(inputs, (3, 2)), largest, TEMPERATURE)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_recurrent_students_are_refused() -> None:
    with pytest.raises(NestingError, match="in students of convolutions"):
        Supernet(SIGNATURE, recurrent_student(channels=(4,), strides=(2,), hidden=4))
