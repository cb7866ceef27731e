import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.adaptation.losses import information


def test_information_of_confident_answers_of_both_classes_is_one_bit() -> None:
    logits = torch.tensor([[50.0, 0.0], [0.0, 50.0]])

    assert information(logits).item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("logits", [[[50.0, 0.0], [50.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_answers_of_one_class_or_without_confidence_carry_no_information(
    logits: list[list[float]],
) -> None:
    assert information(torch.tensor(logits)).item() == pytest.approx(0.0, abs=1e-6)


def test_information_of_answers_three_to_one() -> None:
    three_to_one = math.log(3)  # probabilities 3/4 and 1/4
    logits = torch.tensor([[three_to_one, 0.0], [0.0, three_to_one]])

    each = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert information(logits).item() == pytest.approx(math.log(2) - each, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_information_is_between_zero_and_the_log_of_the_classes(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 30 * torch.randn(7, classes, generator=generator)

    assert -1e-5 <= information(logits).item() <= math.log(classes) + 1e-5
