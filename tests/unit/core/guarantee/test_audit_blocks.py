"""Audits of a block are drawn at random, with equal chances for each of its inputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_core.guarantee.audit_blocks import begin_block
from tests.support.audited_stream import verdict


@pytest.mark.parametrize(
    ("share", "dependence", "length", "audits"),
    [
        (1.0, 1, 1, 1),
        (1.0, 20, 20, 20),
        (0.05, 20, 20, 1),  # a share of exactly one input of the block
        (0.07, 20, 20, 1),
        (0.08, 20, 20, 2),
        (0.049, 20, 20, 1),
        (0.01, 1, 100, 1),
        (0.01, 20, 100, 1),
        (0.3, 1, 3, 1),
        (1 / 3, 3, 3, 1),
        (0.01, 100, 100, 1),
    ],
)
def test_block_has_the_share_of_audits_but_at_least_one(
    share: float, dependence: int, length: int, audits: int
) -> None:
    block = begin_block(share, dependence, 4, 7)

    assert (block.length, block.audits, block.left, block.number) == (length, audits, audits, 7)


@given(share=st.floats(1e-4, 1), dependence=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_all_audits_of_a_block_are_drawn(share: float, dependence: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    block = begin_block(share, dependence, 1, 1)
    assert block.length >= dependence

    drawn = 0
    while not block.is_full:
        audited = block.draws(float(rng.random()))
        block = block.after_input(audited=audited)
        drawn += audited

    assert drawn == block.audits == block.waiting
    assert block.left == 0
    assert not block.draws(0.0)
    assert not block.is_closed


def test_each_place_in_a_block_is_drawn_equally_often_and_each_pair() -> None:
    rng, rounds, length = np.random.default_rng(0), 20_000, 6
    places = np.zeros((rounds, length))
    for row in places:
        block = begin_block(0.34, length, 1, 1)
        for place in range(length):
            row[place] = block.draws(float(rng.random()))
            block = block.after_input(audited=bool(row[place]))
    assert block.audits == 2

    # The error of a share of 1/3 is 0.0033, that of a pair (1/15) is 0.0018.
    assert places.mean(axis=0) == pytest.approx(np.full(length, 1 / 3), abs=0.0134)
    pairs = (places.T @ places / rounds)[np.triu_indices(length, 1)]
    assert pairs == pytest.approx(np.full(len(pairs), 1 / 15), abs=0.0072)


def test_verdicts_sum_to_the_gains_of_each_threshold_and_the_excess_of_the_one_in_use() -> None:
    block = begin_block(1.0, 2, 3, 1)
    block = block.after_input(audited=True).after_input(audited=True)

    block = block.after_verdict(verdict([False, True, True], [True, True, False]), 0.1, in_use=2)
    assert not block.is_closed
    block = block.after_verdict(verdict([False, False, True], [True, True, True]), 0.1, in_use=2)

    assert block.is_closed
    assert block.gains == pytest.approx([0, 0.1 - 1, 0.1 + 0.1 - 1])
    assert block.excess == pytest.approx(1 - 0.1)


def test_nothing_in_use_has_no_excess() -> None:
    block = begin_block(1.0, 1, 1, 1).after_input(audited=True)

    assert block.after_verdict(verdict([True], [True]), 0.1, in_use=0).excess == 0
