import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nestling.budget import BUDGET_FIELDS, budget_vector
from nestling.v1.budget_pb2 import Budget

ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.builds(
        Budget,
        memory_bytes=st.integers(0, 2**64 - 1),
        latency_ms=ANY,
        energy_mj=ANY,
        link_mbit_s=ANY,
        link_rtt_ms=ANY,
        battery=ANY,
        offload_share=ANY,
    )
)
@example(Budget(battery=math.nan))
@example(Budget(offload_share=math.nan))
@example(Budget(latency_ms=math.nan, energy_mj=math.nan, link_mbit_s=math.nan))
@example(Budget(memory_bytes=2**64 - 1, latency_ms=math.inf, battery=math.inf))
@example(Budget(latency_ms=-math.inf, battery=-math.inf, offload_share=-math.inf))
def test_every_entry_lies_between_zero_and_one_whatever_the_budget(budget: Budget) -> None:
    vector = budget_vector(budget)

    assert vector.dtype == np.float32
    assert vector.shape == (len(BUDGET_FIELDS),)
    assert ((vector >= 0) & (vector <= 1)).all()


def test_empty_budget_admits_nothing_and_is_all_zeros() -> None:
    assert budget_vector(Budget()).tolist() == [0.0] * 6


def test_limits_count_by_their_logarithm() -> None:
    budget = Budget(
        memory_bytes=100_000,  # halfway from 1 kB to 10 MB
        latency_ms=10 ** ((-1 + 4) / 2),
        energy_mj=10,
        link_mbit_s=10 ** ((-3 + 2) / 2),
        battery=0.25,
        offload_share=0.75,
    )

    assert budget_vector(budget) == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.25, 0.75])


@given(st.integers(1_001, 9_999_999), st.integers(1, 1_000_000))
def test_more_memory_never_gives_a_smaller_entry(memory_bytes: int, more: int) -> None:
    little = budget_vector(Budget(memory_bytes=memory_bytes))[0]
    much = budget_vector(Budget(memory_bytes=memory_bytes + more))[0]

    assert 0 < little <= much <= 1


def test_equal_ratios_are_equal_steps() -> None:
    entries = [budget_vector(Budget(memory_bytes=size))[0] for size in (2_000, 4_000, 8_000)]

    assert math.isclose(entries[1] - entries[0], entries[2] - entries[1], rel_tol=1e-5)
