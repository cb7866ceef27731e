"""A threshold is certified on a device's own inputs, and seldom if it exceeds the risk."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nestling_core.guarantee.audit_blocks import Verdict, missing_verdict
from nestling_core.guarantee.certification import DELTA, Certification, Terms, begin
from tests.support.audited_stream import after_one, ever_in_use, terms, verdict, with_risks

STREAMS = 150
# Standard error of a share of DELTA of the streams.
ERROR = float(np.sqrt(DELTA * (1 - DELTA) / STREAMS))
KEEPS = verdict([True], [False])
CHANGES = verdict([True], [True])


def play(one: Certification, about: Terms, seen: Verdict, count: int) -> Certification:
    """Return the certification after inputs that are all alike, the first ones audited."""
    for _ in range(count):
        one = after_one(one, about, seen, 0.0)
    return one


@pytest.mark.parametrize("risk", [0.05, 0.1])
def test_false_threshold_is_in_use_in_at_most_delta_of_the_streams(risk: float) -> None:
    kept = np.linspace(0.1, 1, 10)  # the risks are 0.02, 0.04, ...: the fifth is at 0.1
    about = terms(10, risk=risk, first=2)
    false = {number for number in range(1, 11) if 0.2 * kept[number - 1] > risk + 1e-9}
    assert false

    violated = []
    for seed in range(STREAMS):
        rng = np.random.default_rng([seed, 1])
        used = ever_in_use(about, rng, 700, partial(with_risks, rng, kept, 0.2))
        violated.append(bool(used & false))

    assert np.mean(violated) < DELTA + 2 * ERROR


def test_threshold_at_exactly_the_risk_is_proven_no_more_often_than_its_part_of_delta() -> None:
    about = terms(1, risk=0.1)
    found = []
    for seed in range(STREAMS):
        rng = np.random.default_rng([seed, 2])
        changed = rng.random(700) < 0.1
        seen = [CHANGES if one else KEEPS for one in changed]
        found.append(1 in ever_in_use(about, rng, 700, seen.__getitem__))

    assert 0 < np.mean(found) < 0.7 * DELTA + 2 * ERROR


def test_order_within_blocks_does_not_help_a_false_threshold() -> None:
    """Every block of ten has two changes of the daring threshold, and they are at its end."""
    about = terms(2, risk=0.19, dependence=10)
    good, bad = verdict([True, True], [False, False]), verdict([True, True], [False, True])
    violated = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 3])
        used = ever_in_use(about, rng, 3000, lambda place: bad if place % 10 >= 8 else good)
        assert 1 in used  # audits are few from then on
        violated.append(2 in used)

    assert np.mean(violated) < DELTA


def test_verdicts_that_come_late_in_any_order_certify_no_false_threshold() -> None:
    about = terms(1, risk=0.1, dependence=5)
    violated = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 4])
        one, waiting, used = begin(about), [], False
        for _ in range(1000):
            audited, number = one.draws(float(rng.random())), one.block.number
            one = one.after_input(about, audited=audited)
            if audited:
                waiting.append((verdict([True], [bool(rng.random() < 0.12)]), number))
            # Good news first, and bad news as late as possible.
            waiting.sort(key=lambda entry: bool(entry[0].changed[0]), reverse=True)
            if waiting and rng.random() < 0.7:
                one = one.after_verdict(about, *waiting.pop())
            used |= bool(one.in_use)
        violated.append(used)

    assert np.mean(violated) < DELTA


def test_verdict_that_never_comes_counts_as_a_change() -> None:
    about = terms(2, risk=0.1)
    kept = np.array([True, False])
    missing = begin(about).after_input(about, audited=True)
    changed = missing.after_verdict(about, Verdict(kept=kept, changed=kept), 1)

    missing = missing.after_verdict(about, missing_verdict(2), 1)

    assert missing.changed.tolist() == [1, 1]
    assert (missing.evidence[0] == changed.evidence[0]).all()
    assert (missing.evidence[1] < 1).any()


def test_certified_threshold_takes_as_many_inputs_as_the_study_says() -> None:
    about = terms(1, risk=0.1)
    one, count = begin(about), 0
    while not one.in_use:
        one = after_one(one, about, KEEPS, 0.5)
        count += 1

    assert count == 29  # a single threshold has all of delta, as in the study


def test_dependence_multiplies_the_inputs_until_the_certificate() -> None:
    counts = []
    for dependence in (1, 7):
        about = terms(1, dependence=dependence)
        one, count = begin(about), 0
        while not one.in_use:
            one = after_one(one, about, KEEPS, 0.5)
            count += 1
        counts.append(count)

    assert counts[1] == 7 * counts[0]


def test_daring_threshold_may_be_certified_although_a_less_daring_one_is_not() -> None:
    about = terms(4, first=1)
    seen = verdict([True, True, True, True], [True, True, False, False])

    one = play(begin(about), about, seen, 150)

    assert one.proven.tolist() == [False, False, True, True]
    assert one.in_use == 4


def test_cautious_threshold_is_certified_where_the_first_guess_was_too_daring() -> None:
    about = terms(3, first=1)
    seen = verdict([True, True, True], [False, True, True])

    one = play(begin(about), about, seen, 100)

    assert one.in_use == 1


def test_most_daring_certified_threshold_is_in_use_and_does_not_go_back() -> None:
    about = terms(3, first=1)
    one, used = begin(about), [0]
    while used[-1] < 3:
        # The most daring threshold is proven a little later than the others.
        changes = [False, False, len(used) == 1]
        one = after_one(one, about, verdict([True] * 3, changes), 0.0)
        used.append(one.in_use)
    one = play(one, about, verdict([True] * 3, [False, False, True]), 1)

    assert one.evidence[2].mean() < 20  # it would not be proven now
    assert (one.in_use, one.alarms) == (3, 0)
    assert used == sorted(used)
    assert 2 in used


def test_block_waits_for_its_verdicts_and_nothing_is_certified_meanwhile() -> None:
    about = terms(1, dependence=3)
    one = certified_but_one_block(about)
    number = one.block.number
    for _ in range(3):
        assert one.draws(0.999)
        one = one.after_input(about, audited=True)
    two = one.after_verdict(about, KEEPS, number).after_verdict(about, KEEPS, number)

    # Two of three verdicts are there.
    assert two.in_use == 0
    assert not two.draws(0.0)
    assert two.after_input(about, audited=False) is two
    done = two.after_verdict(about, KEEPS, number)
    assert done.in_use == 1
    assert done.block.number == number + 1


def certified_but_one_block(about: Terms) -> Certification:
    """Return a certification that one more good block completes."""
    one = begin(about)
    while True:
        after = one
        for _ in range(about.dependence):
            after = after_one(after, about, KEEPS, 0.0)
        if after.in_use:
            return one
        one = after


@pytest.mark.parametrize(
    ("first", "proven", "parts"),
    [
        (2, [False, False, False, False], [0.2, 0.15, 0.5, 0.15]),
        (0, [False, False, False, False], [0.7, 0.1, 0.1, 0.1]),
        (2, [True, False, False, False], [None, 0.35, 0.5, 0.15]),
        (2, [True, True, False, False], [None, None, 0.85, 0.15]),
        (2, [False, False, True, False], [0.2, 0.15, None, 0.65]),
        (2, [True, True, True, False], [None, None, None, 1.0]),
    ],
)
def test_certified_threshold_leaves_its_part_of_delta_to_the_next(
    first: int, proven: list[bool], parts: list[float | None]
) -> None:
    about = terms(4, first=first)

    missing = replace(begin(about), proven=np.array(proven)).missing(about)

    wealth = [np.inf if part is None else np.log(1 / (DELTA * part)) for part in parts]
    assert missing == pytest.approx(wealth)
    kept = verdict([True] * 4, [False] * 4)
    assert (
        after_one(begin(about), about, kept, 0.0).missing(about)[0] < begin(about).missing(about)[0]
    )


@pytest.mark.parametrize("risk", [1e-3, 0.5, 0.95, 0.999])
def test_extreme_risks_keep_all_wealth_finite(risk: float) -> None:
    about = terms(2, risk=risk)
    rng = np.random.default_rng(0)
    one = begin(about)
    for _ in range(2000):
        changed = bool(rng.random() < 0.5)
        one = after_one(one, about, verdict([True, True], [changed] * 2), float(rng.random()))

    assert np.isfinite(one.evidence).all()
    assert np.isfinite(one.suspicion).all()
    assert (one.evidence >= 0).all()
