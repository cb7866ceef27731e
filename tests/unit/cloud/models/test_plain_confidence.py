import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.models.plain_confidence import PlainConfidence, PlainRule, confidence_odds

CAPACITIES = 2
RULES = get_args(PlainRule)


def plain(rule: PlainRule, temperature: float = 1.0) -> PlainConfidence:
    shape = (CAPACITIES, CAPACITIES + 1)
    return PlainConfidence(
        rule,
        np.array([1.0, temperature], np.float32),
        np.ones(shape, np.float32),
        np.zeros(shape, np.float32),
    )


def of(*probabilities: float) -> torch.Tensor:
    return torch.log(torch.tensor([probabilities]))


@pytest.mark.parametrize(
    ("rule", "expected"), [("max-softmax", 0.6), ("scaled softmax", 0.6), ("margin", 0.3)]
)
def test_confidence_by_hand(rule: PlainRule, expected: float) -> None:
    found = plain(rule)(of(0.1, 0.6, 0.3), torch.tensor([0]))

    # With a slope of 1 and an offset of 0, the probability is the confidence itself.
    assert found.numpy() == pytest.approx(np.full((1, CAPACITIES + 1), expected), abs=1e-5)


def test_temperature_of_the_capacity_that_ran_is_used() -> None:
    softened = plain("scaled softmax", temperature=2.0)

    found = [softened(of(0.1, 0.8, 0.1), torch.tensor([ran]))[0, 0].item() for ran in (0, 1)]

    root = 0.8**0.5 / (0.8**0.5 + 2 * 0.1**0.5)
    assert found == pytest.approx([0.8, root], abs=1e-5)


def test_slope_and_offset_of_each_option_apply_to_the_log_odds() -> None:
    slopes = np.array([[0.5, 2.0, 0.0], [1.0, 1.0, 1.0]], np.float32)
    offsets = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]], np.float32)
    rule = PlainConfidence("max-softmax", np.ones(2, np.float32), slopes, offsets)

    found = rule(of(0.2, 0.8), torch.tensor([0])).numpy()[0]

    odds = np.log(4) * slopes[0] + offsets[0]
    assert found == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)


@pytest.mark.parametrize("rule", RULES)
@given(logits=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=6))
def test_outputs_are_probabilities_for_any_logits(rule: PlainRule, logits: list[float]) -> None:
    found = plain(rule)(torch.tensor([logits]), torch.tensor([1]))

    assert found.shape == (1, CAPACITIES + 1)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("probabilities", [(1.0, 0.0), (0.5, 0.5)])
def test_log_odds_of_any_confidence_are_finite(
    rule: PlainRule, probabilities: tuple[float, ...]
) -> None:
    assert torch.isfinite(confidence_odds(rule, of(*probabilities))).all()


@pytest.mark.parametrize(
    ("rule", "outputs", "expected"),
    [
        ("joint label", [math.log(4), -math.log(9)], 0.8 * 0.9),
        ("expected error", [7.0, 7.0, 0.0, math.log(0.5)], (1 - math.exp(-1)) * (1 - math.exp(-2))),
        ("score distance", [-math.log(4)], 0.8),
    ],
)
def test_confidence_of_other_kinds_by_hand(
    rule: PlainRule, outputs: list[float], expected: float
) -> None:
    found = plain(rule)(torch.tensor([outputs]), torch.tensor([0]))

    assert found.numpy() == pytest.approx(np.full((1, CAPACITIES + 1), expected), abs=1e-4)
