"""After a certificate, audits go on: they raise an alarm, and become more with suspicion."""

import dataclasses

import numpy as np

from nestling_core.guarantee.certification import Certification, Terms, begin
from tests.support.audited_stream import after_one, terms, verdict

KEEPS = verdict([True], [False])
CHANGES = verdict([True], [True])


def certified(about: Terms) -> Certification:
    """Return a certification right after its only threshold is certified."""
    one = begin(about)
    while not one.in_use:
        one = after_one(one, about, KEEPS, 0.0)
    return one


def test_shift_raises_an_alarm_and_everything_is_sent_again() -> None:
    about = terms(1, audit_share=0.05)
    rng = np.random.default_rng(0)
    one = certified(about)
    for _ in range(5000):
        one = after_one(one, about, KEEPS, float(rng.random()))
    assert (one.in_use, one.alarms) == (1, 0)
    count = 0
    while one.in_use:
        one = after_one(one, about, CHANGES, float(rng.random()))
        count += 1

    assert one.alarms == 1
    assert count < 200
    assert one.draws(0.999)
    assert not one.proven.any()
    assert (one.evidence == 1).all()
    assert one.audits == 0


def test_false_alarms_are_rare_at_the_tolerated_risk() -> None:
    about = terms(1, risk=0.1, audit_share=0.2)
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 5])
        one = certified(about)
        for _ in range(1000):
            seen = CHANGES if rng.random() < 0.1 else KEEPS
            one = after_one(one, about, seen, float(rng.random()))
        alarms += one.alarms

    # At least 1,000 blocks between two alarms on average; here are 40 * 1,000 inputs, of which
    # the first few hundred are blocks of one input, and later ones of five.
    assert alarms <= 40 * 1000 / 1000


def test_verdict_from_before_an_alarm_is_ignored() -> None:
    about = terms(1)
    one = certified(about)
    stale = one.block.number
    while not one.alarms:
        one = after_one(one, about, CHANGES, 0.0)
    drawn = one.after_input(about, audited=True)

    assert drawn.block.number > stale
    assert drawn.after_verdict(about, CHANGES, stale) is drawn
    assert drawn.after_verdict(about, CHANGES, drawn.block.number) is not drawn


def test_share_of_audits_decays_to_the_share_asked_for() -> None:
    about = terms(1, audit_share=0.01)
    one, rng = certified(about), np.random.default_rng(0)
    early = one.block.audits / one.block.length
    for _ in range(31_000):
        one = after_one(one, about, KEEPS, float(rng.random()))

    assert early > 0.5
    assert (one.block.length, one.block.audits) == (100, 1)


def test_no_audit_share_still_draws_some() -> None:
    about = terms(1, audit_share=0.0)
    one = dataclasses.replace(certified(about), since=5_000_000)
    block = one.block.number
    while one.block.number == block:
        one = after_one(one, about, KEEPS, 0.0)

    assert (one.block.length, one.block.audits) == (10_000, 1)


def test_near_misses_raise_the_share_of_audits_but_prove_nothing() -> None:
    about = terms(8, first=0, risk=0.2)
    one = begin(about)
    easy = verdict([True, *[False] * 7], [False] * 8)
    rng = np.random.default_rng(0)
    while one.since < 20_000:
        one = after_one(one, about, easy, float(rng.random()))
    assert one.in_use == 1
    near, worse = (verdict([False, *[True] * 7], [changed] * 8) for changed in (False, True))
    for _ in range(200):
        one = one.after_sent(near)
    assert not one.raised
    evidence = one.evidence.copy()
    while not one.raised:
        one = one.after_sent(worse)

    assert (one.evidence == evidence).all()
    assert one.in_use == 1
    before = one.block.number
    while one.block.number == before:
        one = after_one(one, about, easy, float(rng.random()))
    assert one.block.audits == one.block.length


def test_sent_inputs_are_no_near_misses_while_nothing_is_in_use() -> None:
    one = begin(terms(4))

    assert one.after_sent(verdict([True] * 4, [True] * 4)) is one
