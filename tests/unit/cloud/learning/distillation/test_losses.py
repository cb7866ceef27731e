from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.learning.distillation.losses import (
    Regressor,
    angular_loss,
    attention_loss,
    attention_map,
    hint_loss,
)

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def test_hints_are_the_mean_squared_error() -> None:
    student = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    teacher = torch.tensor([[[0.0, 2.0], [3.0, 6.0]]])

    assert hint_loss(student, teacher).item() == pytest.approx((1 + 0 + 0 + 4) / 4)


def test_hints_pool_the_longer_map_to_the_shorter_one() -> None:
    long = torch.tensor([[[1.0, 3.0, 5.0, 7.0]]])  # pooled: 2, 6
    short = torch.tensor([[[2.0, 4.0]]])

    assert hint_loss(long, short).item() == pytest.approx((0 + 4) / 2)
    assert hint_loss(short, long).item() == pytest.approx((0 + 4) / 2)


def test_each_axis_of_an_image_is_pooled_separately() -> None:
    high = torch.tensor([[[[1.0], [3.0], [5.0], [7.0]]]])  # (1, 1, 4, 1), pooled: 2, 6
    wide = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])  # (1, 1, 2, 2), pooled: 1, 5

    assert hint_loss(high, wide).item() == pytest.approx((1 + 1) / 2)


def test_attention_map_is_the_mean_square_of_the_channels() -> None:
    features = torch.tensor([[[1.0, 2.0], [3.0, 0.0]]])

    assert attention_map(features).tolist() == [[[5.0, 2.0]]]  # (1 + 9) / 2, (4 + 0) / 2


def test_attention_is_the_squared_distance_at_unit_length() -> None:
    student = torch.tensor([[[3.0, 4.0]], [[1.0, 1.0]]])  # at unit length 0.6, 0.8
    teacher = torch.tensor([[[5.0, 0.0]], [[7.0, 7.0]]])  # at unit length 1, 0

    expected = (0.4**2 + 0.8**2 + 0) / 2
    assert attention_loss(student, teacher).item() == pytest.approx(expected, abs=1e-6)


def test_attention_pools_before_it_measures_length() -> None:
    student = torch.tensor([[[[2.0, 4.0], [1.0, 7.0]]]])  # pooled to one row of two: 1.5, 5.5
    teacher = torch.tensor([[[[3.0, 11.0]]]])  # the same, twice as long

    assert attention_loss(student, teacher).item() == pytest.approx(0.0, abs=1e-6)


def test_angle_is_one_minus_the_cosine() -> None:
    student = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    teacher = torch.tensor([[0.0, 2.0], [-3.0, 0.0]])  # cosines 0.8, -1

    assert angular_loss(student, teacher).item() == pytest.approx((0.2 + 2.0) / 2)


LOSSES: list[tuple[Loss, tuple[int, ...]]] = [
    (hint_loss, (3, 2, 5)),
    (hint_loss, (3, 2, 5, 4)),
    (attention_loss, (3, 1, 5)),
    (attention_loss, (3, 1, 5, 4)),
    (angular_loss, (3, 7)),
]


@pytest.mark.parametrize(("loss", "shape"), LOSSES)
def test_loss_is_zero_where_both_are_the_same(loss: Loss, shape: tuple[int, ...]) -> None:
    features = torch.rand(shape, generator=torch.Generator().manual_seed(0))

    assert loss(features, features.clone()).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("loss", "shape"), LOSSES)
def test_student_learns_and_the_teacher_does_not(loss: Loss, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.rand(shape, generator=generator).requires_grad_()
    teacher = torch.rand(shape, generator=generator).requires_grad_()

    loss(student, teacher).backward()  # type: ignore[no-untyped-call]

    assert student.grad is not None
    assert student.grad.abs().max() > 0
    assert teacher.grad is None


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(0.01, 100))
def test_attention_and_angle_do_not_depend_on_scale(seed: int, own: float, other: float) -> None:
    student, teacher = torch.rand(2, 4, 1, 6, generator=torch.Generator().manual_seed(seed))

    attention = attention_loss(student, teacher).item()
    angle = angular_loss(student.flatten(1), teacher.flatten(1)).item()

    assert 0 <= attention <= 2
    assert 0 <= angle <= 2
    assert attention_loss(own * student, other * teacher).item() == pytest.approx(
        attention, abs=1e-5
    )
    assert angular_loss(
        own * student.flatten(1), other * teacher.flatten(1)
    ).item() == pytest.approx(angle, abs=1e-5)


def test_regressor_sums_channels_separately_at_every_position() -> None:
    regressor = Regressor(2, 1)
    with torch.no_grad():
        regressor.linear.weight.copy_(torch.tensor([[10.0, 1.0]]))
        regressor.linear.bias.fill_(100.0)

    window = regressor(torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]))

    assert window.tolist() == [[[114.0, 125.0, 136.0]]]
    assert regressor(torch.tensor([[1.0, 4.0]])).tolist() == [[114.0]]
    assert regressor(torch.zeros(5, 2, 3, 4)).shape == (5, 1, 3, 4)


def test_regressor_learns_from_hints() -> None:
    regressor = Regressor(2, 3)

    hint_loss(regressor(torch.rand(4, 2, 6)), torch.rand(4, 3, 6)).backward()  # type: ignore[no-untyped-call]

    gradients = [parameter.grad for parameter in regressor.parameters()]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
