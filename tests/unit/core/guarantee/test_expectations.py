"""Calibration inputs decide which threshold is tested first, and how long it may take."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import AuditedThreshold, GuaranteePlan
from nestling_core.guarantee import bets
from nestling_core.guarantee.certification import DELTA, begin
from nestling_core.guarantee.expectations import first_threshold, inputs_to_go
from tests.support.audited_stream import after_one, terms, verdict


def plan(*counts: tuple[int, int], inputs: int = 1000, dependence: int = 1) -> GuaranteePlan:
    return GuaranteePlan(
        thresholds=[
            AuditedThreshold(accept_threshold=place, kept=kept, changed=changed)
            for place, (kept, changed) in enumerate(counts)
        ],
        inputs=inputs,
        dependence=dependence,
    )


STEPS = plan((200, 0), (500, 5), (800, 40), (1000, 150))


@pytest.mark.parametrize(("risk", "first"), [(0.005, 0), (0.05, 1), (0.3, 2), (0.9, 3)])
def test_first_threshold_is_more_daring_at_a_larger_risk(risk: float, first: int) -> None:
    assert first_threshold(STEPS, risk) == first


def test_of_thresholds_that_promise_the_same_the_cautious_one_is_first() -> None:
    assert first_threshold(plan((500, 5), (500, 5)), 0.05) == 0


def test_where_no_threshold_promises_anything_one_is_still_chosen() -> None:
    hopeless = plan((100, 50), (1000, 600))

    assert first_threshold(hopeless, 0.01) == 0
    missing = [math.log(20), math.inf]
    assert inputs_to_go(hopeless, 0.01, missing, audits=0, kept=(), changed=()) is None


def test_inputs_to_go_are_those_of_the_quickest_threshold_that_is_tested_next() -> None:
    missing = [math.inf, math.log(20), math.log(20), math.inf]
    payoff = np.array([0.8 * (0.2 - 40.5 / 801)])

    found = inputs_to_go(STEPS, 0.2, missing, audits=0, kept=(), changed=())

    assert found == math.ceil(bets.blocks_until_proof(payoff, 0.2, DELTA)[0])


@pytest.mark.parametrize("dependence", [1, 20])
def test_estimate_counts_down_to_the_certificate_on_inputs_as_calibrated(dependence: int) -> None:
    made = plan((1000, 0), dependence=dependence)
    about = terms(1, risk=0.1, dependence=dependence)
    one, left = begin(about), []
    while not one.in_use:
        left.append(
            inputs_to_go(
                made,
                0.1,
                one.missing(about),
                audits=one.audits,
                kept=one.kept.tolist(),
                changed=one.changed.tolist(),
            )
        )
        one = after_one(one, about, verdict([True], [False]), 0.0)

    known = [count for count in left if count is not None]
    assert len(known) == len(left)
    assert known[0] == pytest.approx(len(left), rel=0.05)
    # The evidence changes only at the end of a block.
    assert known[::dependence] == sorted(known[::dependence], reverse=True)
    assert known[-1] <= 2 * dependence


def test_own_audits_outweigh_calibration() -> None:
    missing = [math.log(20)]
    good = plan((900, 0))

    fresh = inputs_to_go(good, 0.05, missing, audits=0, kept=(), changed=())
    worse = inputs_to_go(good, 0.05, missing, audits=500, kept=[450], changed=[18])
    hopeless = inputs_to_go(good, 0.05, missing, audits=500, kept=[450], changed=[90])

    assert fresh is not None
    assert worse is not None
    assert worse > 2 * fresh
    assert hopeless is None


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    risk=st.floats(0.001, 0.999),
    audits=st.integers(0, 1000),
    dependence=st.integers(1, 100),
)
def test_estimates_are_positive_numbers_or_unknown(
    seed: int, risk: float, audits: int, dependence: int
) -> None:
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.integers(0, 101, 5))
    changed = rng.integers(0, kept + 1)
    made = plan(*zip(kept.tolist(), changed.tolist(), strict=True), inputs=100)
    made.dependence = dependence
    own = rng.integers(0, audits + 1, 5)
    about = terms(5, risk=risk, first=first_threshold(made, risk), dependence=dependence)

    found = inputs_to_go(
        made,
        risk,
        begin(about).missing(about),
        audits=audits,
        kept=own.tolist(),
        changed=rng.integers(0, own + 1).tolist(),
    )

    assert 0 <= first_threshold(made, risk) < 5
    assert found is None or found >= 1
