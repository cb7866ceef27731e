import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.nesting.channel_order import OrderError, ranked_layers, reorder
from nestling_cloud.tasks import Lstm, Signature
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import layout

SIGNATURE = Signature(shape=[4, 12], classes=["a", "b", "c"])
FRACTIONS = (0.5, 1.0)
FAMILIES: dict[str, StudentConfig] = {
    "conv": conv_student(channels=(6, 8), strides=(2, 1), fractions=FRACTIONS),
    "separable": separable_student(channels=(6, 8), strides=(2, 1), fractions=FRACTIONS),
    "gru": recurrent_student(channels=(6,), strides=(2,), hidden=8, fractions=FRACTIONS),
    "lstm": recurrent_student(
        channels=(6,), strides=(2,), hidden=8, cell=Lstm, fractions=FRACTIONS
    ),
    "sensors": deepsense_student(
        sensors=2, branch=(4, 6), fused=(6,), hidden=4, fractions=FRACTIONS
    ),
    "sensors only": deepsense_student(sensors=2, branch=(4, 6), fused=(), fractions=FRACTIONS),
    "sensors to units": deepsense_student(
        sensors=2, branch=(4,), fused=(), hidden=4, fractions=FRACTIONS
    ),
}


def student_of(config: StudentConfig, seed: int = 0) -> NestedStudent:
    """Make a student with random numbers everywhere, so that each position matters."""
    torch.manual_seed(seed)
    student = NestedStudent(SIGNATURE, config).eval()
    with torch.no_grad():
        for name, array in student.state_dict().items():
            if "normalizer" not in name:
                array.add_(torch.rand(array.shape) * 0.5)
    return student


def inputs() -> torch.Tensor:
    return torch.randn(5, 4, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_reordering_every_layer_changes_no_logit_of_the_largest(
    family: str, data: st.DataObject
) -> None:
    student = student_of(FAMILIES[family])
    before = student(inputs(), 2)
    weights = {name: weight.clone() for name, weight in student.nested_weights().items()}

    for layer in ranked_layers(student):
        places = list(range(layer.plan.widths[-1]))
        reorder(student, layer.plan.index, data.draw(st.permutations(places)))

    assert torch.allclose(student(inputs(), 2), before, atol=1e-5)
    for name, weight in student.nested_weights().items():
        assert torch.equal(weight.flatten().sort()[0], weights[name].flatten().sort()[0])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_reordering_a_small_capacity_changes_neither_it_nor_the_larger_one(family: str) -> None:
    student = student_of(FAMILIES[family])
    before = [student(inputs(), capacity) for capacity in (1, 2)]

    for layer in ranked_layers(student):
        reorder(student, layer.plan.index, list(reversed(range(layer.plan.widths[0]))))

    for capacity in (1, 2):
        assert torch.allclose(student(inputs(), capacity), before[capacity - 1], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_reordering_the_largest_gives_a_small_capacity_other_channels(family: str) -> None:
    student = student_of(FAMILIES[family])
    before = student(inputs(), 1)

    for layer in ranked_layers(student):
        reorder(student, layer.plan.index, list(reversed(range(layer.plan.widths[-1]))))

    assert not torch.allclose(student(inputs(), 1), before, atol=1e-3)


def test_first_position_gets_the_channel_that_the_order_lists_first() -> None:
    student = student_of(FAMILIES["conv"])
    before = student.convolutions[0].weight.detach().clone()

    reorder(student, 0, [4, 0, 1, 2, 3, 5])

    assert torch.equal(student.convolutions[0].weight[0], before[4])
    assert torch.equal(student.convolutions[0].weight[5], before[5])


def test_shuffled_students_are_refused() -> None:
    config = shuffle_student(channels=(8, 8), strides=(2, 1), groups=2, fractions=(0.5, 1.0))
    student = student_of(config)

    with pytest.raises(OrderError, match="train a shuffled student jointly"):
        reorder(student, 0, list(range(8)))


@pytest.mark.parametrize("order", [[0, 0, 1], [1, 2], list(range(7))])
def test_order_that_is_not_a_permutation_is_refused(order: list[int]) -> None:
    with pytest.raises(OrderError, match="does not permute the first of 6 positions"):
        reorder(student_of(FAMILIES["conv"]), 0, order)


def test_block_without_channels_of_its_own_is_refused() -> None:
    with pytest.raises(OrderError, match="block 1 has no channels of its own"):
        reorder(student_of(FAMILIES["separable"]), 1, [0])


def test_layout_does_not_change_with_the_order() -> None:
    student = student_of(FAMILIES["sensors"])
    shapes = {t.name: tuple(t.prefixes[-1].shape) for t in layout(SIGNATURE, FAMILIES["sensors"])}

    reorder(student, 0, [1, 0])

    found = {name: tuple(np.shape(w.detach())) for name, w in student.nested_weights().items()}
    assert found == shapes
