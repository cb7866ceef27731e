"""Plain rules rank inputs by confidence, and give it the scale of a success probability."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.routing import Design, RoutingData, beliefs, fit_multiplexer
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.plain_rules import fit_plain_rule
from nestling_cloud.models.plain_confidence import PlainRule, confidence_odds
from nestling_cloud.progress import SilentProgress
from tests.support.loudness_task import loud_and_quiet

RULES = get_args(PlainRule)
_seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, count: int = 60) -> RoutingData:
    """Draw data in which confidence may be worth anything, or even mislead."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, count, 4)) * 10 ** rng.uniform(-2, 2)
    return RoutingData(
        inputs=np.zeros((count, 1, 1), np.float32),
        logits=logits.astype(np.float32),
        cloud=rng.normal(size=(count, 4)).astype(np.float32),
        labels=rng.integers(0, 4, count),
    )


def confidences(rule: PlainRule, logits: Floats, temperature: float) -> Floats:
    odds: Floats = confidence_odds(rule, torch.from_numpy(logits / temperature)).numpy()[:, 0]
    return odds


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=40)
@given(seed=_seeds)
def test_fit_keeps_the_ranking_of_the_confidence(rule: PlainRule, seed: int) -> None:
    data = drawn(seed)

    plain = fit_plain_rule(data, rule, label_part=0.5)

    for ran, logits in enumerate(data.logits):
        order = np.argsort(confidences(rule, logits, plain.temperatures[ran].item()))
        found = beliefs(plain, data)[ran]
        for option in range(data.capacities):
            assert (np.diff(found[order, option]) > -1e-6).all()  # but for rounding
        assert (plain.slopes[ran, : data.capacities] > 0).all()
        assert np.ptp(found[:, -1]) < 1e-6  # the cloud's probability is the same for all inputs


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("right", [True, False])
@settings(deadline=None, max_examples=40)
@given(seed=_seeds)
def test_mean_prediction_follows_a_few_one_sided_outcomes(
    rule: PlainRule, seed: int, *, right: bool
) -> None:
    data = drawn(seed, count=20)
    answers = data.logits[0].argmax(axis=1)
    data.labels[:] = answers if right else (answers + 1) % 4

    found = beliefs(fit_plain_rule(data, rule, label_part=1.0), data)

    # However large or small the confidence is, the offset makes up for it, up to its prior.
    mean = found[0, :, 0].mean()
    assert mean > 0.75 if right else mean < 0.25


@pytest.mark.parametrize("rule", RULES[:3])
def test_confidence_gets_the_scale_of_the_success_probability(rule: PlainRule) -> None:
    known, unseen = loud_and_quiet(1000, seed=0), loud_and_quiet(1000, seed=1)

    found = beliefs(fit_plain_rule(known.data, rule, label_part=1.0), unseen.data)

    right = unseen.data.right
    for loud in (True, False):
        chosen = unseen.loud == loud
        assert found[0, chosen, 0].mean() == pytest.approx(right[chosen, 0].mean(), abs=0.08)
    assert found[0, :, -1].mean() == pytest.approx(right[:, -1].mean(), abs=0.05)


def test_few_inputs_are_enough_to_rank_by_confidence() -> None:
    known, unseen = loud_and_quiet(10, seed=0), loud_and_quiet(1000, seed=1)

    found = beliefs(fit_plain_rule(known.data, "max-softmax", label_part=0.5), unseen.data)

    assert found[0, ~unseen.loud, 0].mean() > found[0, unseen.loud, 0].mean() + 0.3


def test_temperature_is_fitted_for_the_scaled_softmax_only() -> None:
    data = loud_and_quiet(500, seed=0).data

    found = {rule: fit_plain_rule(data, rule, label_part=0.5).temperatures for rule in RULES}

    assert found["max-softmax"].tolist() == found["margin"].tolist() == [1, 1]
    assert found["scaled softmax"].tolist() != [1, 1]


@pytest.mark.parametrize("rule", RULES)
def test_design_with_the_name_of_a_rule_fits_this_rule(rule: PlainRule) -> None:
    data = loud_and_quiet(200, seed=0).data

    fitted = fit_multiplexer(data, seed=0, progress=SilentProgress(), design=Design(rule=rule))

    expected = fit_plain_rule(data, rule, Design().label_part)
    assert np.array_equal(beliefs(fitted, data), beliefs(expected, data))
