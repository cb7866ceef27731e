import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_core.guarantee import bets

RISKS = st.floats(1e-3, 0.99)


@given(risk=RISKS, part=st.floats(1, 3))
def test_no_stake_wins_on_average_while_the_risk_is_exceeded(risk: float, part: float) -> None:
    rate = min(risk * part, 1.0)
    start = bets.no_evidence(1)

    kept, changed = (
        bets.with_payoffs(start, np.array([risk - change]), risk) for change in (0.0, 1.0)
    )

    mean = (1 - rate) * kept + rate * changed
    assert (mean <= 1 + 1e-9).all()
    assert (changed >= 0).all()


@given(risk=RISKS, part=st.floats(0, 1))
def test_no_alarming_stake_wins_on_average_while_the_risk_is_kept(risk: float, part: float) -> None:
    rate = risk * part
    start = bets.no_suspicion()

    changed, kept = (bets.with_excess(start, change - risk, risk) for change in (1.0, 0.0))

    assert ((1 - rate) * kept + rate * changed <= 1 + 1e-9).all()
    assert (kept >= 0).all()


def test_answer_that_is_not_kept_neither_wins_nor_loses() -> None:
    evidence = bets.with_payoffs(bets.no_evidence(2), np.array([0.0, 0.05]), 0.1)

    assert (evidence[0] == 1).all()
    assert (evidence[1] > 1).all()


def test_thresholds_may_be_tested_at_risks_of_their_own_and_in_many_streams() -> None:
    risks, payoffs = np.array([0.1, 0.3]), np.array([[0.1, -0.7], [-0.9, 0.3]])
    start = np.repeat(bets.no_evidence(2)[None], 2, axis=0)

    found = bets.with_payoffs(start, payoffs, risks)

    for stream in range(2):
        for place, risk in enumerate(risks.tolist()):
            one = bets.with_payoffs(bets.no_evidence(1), payoffs[stream, place : place + 1], risk)
            assert np.array_equal(found[stream, place], one[0])
    assert bets.proves(found * 100, 0.1).shape == (2, 2)


def test_mean_wealth_of_twice_one_over_delta_proves_a_threshold() -> None:
    evidence = np.array([[20.0] * 5, [19.99] * 5, [100.0, 0, 0, 0, 0]])

    assert bets.proves(evidence, 0.1).tolist() == [True, False, True]


@pytest.mark.parametrize("risk", [0.02, 0.1, 0.5])
def test_blocks_until_proof_are_those_that_the_bets_take(risk: float) -> None:
    payoffs = np.array([risk, risk / 3, 0.0, -0.1])

    expected = bets.blocks_until_proof(payoffs, risk, 0.1)

    assert np.isinf(expected[2:]).all()
    for place in range(2):
        evidence, count = bets.no_evidence(1), 0
        while not bets.proves(evidence, 0.1)[0]:
            evidence = bets.with_payoffs(evidence, payoffs[place : place + 1], risk)
            count += 1
        assert count == np.ceil(expected[place])


def test_wealth_of_alarming_bets_never_stays_below_one() -> None:
    suspicion = bets.no_suspicion()
    for _ in range(500):
        suspicion = bets.with_excess(suspicion, -0.1, 0.1)
    one_change = bets.with_excess(suspicion, 0.9, 0.1)

    assert (one_change > 1).all()
    assert not bets.alarms(suspicion)


@pytest.mark.parametrize("risk", [0.01, 0.5, 0.97, 0.999])
def test_changes_without_end_raise_an_alarm_at_every_risk(risk: float) -> None:
    suspicion, count = bets.no_suspicion(), 0
    while not bets.alarms(suspicion) and count < 100_000:
        suspicion, count = bets.with_excess(suspicion, 1 - risk, risk), count + 1

    assert bets.alarms(suspicion)
    assert np.isfinite(suspicion).all()
