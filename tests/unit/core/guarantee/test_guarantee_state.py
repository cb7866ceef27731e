"""A certification survives a restart, and a damaged one starts over."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling.v1.stream_pb2 import GuaranteeState
from nestling_core.guarantee.certification import Certification, Terms, begin
from nestling_core.guarantee.guarantee_state import resume, save
from tests.support.audited_stream import after_one, terms, verdict, with_risks


def played(about: Terms, seed: int, count: int) -> Certification:
    """Return a certification after some inputs, whose last audits may still wait for a verdict."""
    rng = np.random.default_rng(seed)
    kept = np.linspace(0.2, 1, about.thresholds)
    one = begin(about)
    for _ in range(count):
        one = after_one(one, about, with_risks(rng, kept, 0.1), float(rng.random()))
    for _ in range(2):
        one = one.after_input(about, audited=one.draws(0.0))
    return one


def passed_on(one: Certification, about: Terms) -> Certification:
    data = save(one, about.risk).SerializeToString()
    return resume(GuaranteeState.FromString(data), about)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 1500),
    dependence=st.sampled_from([1, 7, 20]),
)
def test_saved_certification_goes_on_as_if_nothing_had_happened(
    seed: int, count: int, dependence: int
) -> None:
    about = terms(6, first=3, risk=0.1, dependence=dependence)
    one = played(about, seed, count)

    other = passed_on(one, about)

    assert save(other, about.risk) == save(one, about.risk)
    rng = np.random.default_rng(seed + 1)
    for _ in range(200):
        seen = with_risks(rng, np.linspace(0.2, 1, 6), 0.3)
        draw = float(rng.random())
        one, other = (after_one(each, about, seen, draw) for each in (one, other))
    assert save(other, about.risk) == save(one, about.risk)


def test_near_misses_are_saved_before_and_after_their_baseline() -> None:
    about = terms(4, risk=0.2)
    one = played(about, 0, 400)
    assert one.in_use
    near = verdict([False, True, True, True], [True] * 4)
    for count in (0, 10, 200):
        for _ in range(count):
            one = one.after_sent(near)
        assert passed_on(one, about).near_misses == one.near_misses


def test_state_about_another_risk_or_other_thresholds_starts_over() -> None:
    about = terms(4, risk=0.1)
    state = save(played(about, 0, 300), about.risk)

    for other in (terms(4, risk=0.05), terms(5, risk=0.1), terms(3, risk=0.1)):
        fresh = begin(other, number=state.block.number + 1)  # no audit's verdict counts for it
        assert save(resume(state, other), other.risk) == save(fresh, other.risk)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.evidence.pop(),
        lambda state: state.evidence.__setitem__(0, math.nan),
        lambda state: state.evidence.__setitem__(0, math.inf),
        lambda state: state.evidence.__setitem__(0, -1),
        lambda state: state.evidence.__setitem__(0, 1e14),
        lambda state: state.suspicion.__setitem__(0, math.nan),
        lambda state: state.suspicion.append(1),
        lambda state: state.proven.append(True),
        lambda state: setattr(state, "in_use", 5),
        lambda state: state.audited.pop(),
        lambda state: state.changed.append(1),
        lambda state: state.block.gains.append(0),
        lambda state: state.block.gains.__setitem__(0, math.inf),
        lambda state: setattr(state.block, "excess", math.nan),
        lambda state: setattr(state.block, "audits", 0),
        lambda state: setattr(state.block, "audits", state.block.length + 1),
        lambda state: setattr(state.block, "position", state.block.length + 1),
        lambda state: setattr(state.block, "left", state.block.audits + 1),
        lambda state: setattr(state.block, "waiting", state.block.audits + 1),
        lambda state: setattr(state.block, "length", 10**9),
        lambda state: state.proven.__setitem__(state.in_use - 1, False),
        lambda state: state.audited.__setitem__(0, 2**63),
        lambda state: setattr(state.near_misses, "wealth", math.nan),
        lambda state: setattr(state.near_misses, "expected", 0.0),
        lambda state: setattr(state.near_misses, "expected", 1.0),
        lambda state: state.Clear(),
    ],
)
def test_damaged_state_starts_over(damage: Callable[[GuaranteeState], object]) -> None:
    about = terms(4, risk=0.1)
    state = save(played(about, 0, 300), about.risk)
    assert state.in_use
    assert save(resume(state, about), about.risk) == state

    damage(state)

    fresh = begin(about, number=state.block.number + 1)
    assert save(resume(state, about), about.risk) == save(fresh, about.risk)
