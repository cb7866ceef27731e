import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.budget_pb2 import Budget
from nestling_core.routing.admission import (
    FRAMING_BYTES,
    admitted_options,
    largest_capacity,
    offload_bytes,
    transfer_ms,
)
from nestling_core.wire.choice import plain_form


def test_offload_is_four_bytes_per_value_plus_framing() -> None:
    assert offload_bytes(plain_form([6, 100])) == 6 * 100 * 4 + FRAMING_BYTES


def test_transfer_takes_the_round_trip_plus_the_bits_at_the_links_speed() -> None:
    budget = Budget(link_mbit_s=2.0, link_rtt_ms=40.0)

    # 1000 bytes are 8000 bits, which take 4 ms at 2 megabits per second.
    assert transfer_ms(1000, budget) == pytest.approx(44.0)


@pytest.mark.parametrize("link_mbit_s", [0.0, -1.0, math.nan])
def test_without_a_link_the_cloud_is_never_admitted(link_mbit_s: float) -> None:
    budget = Budget(memory_bytes=10**6, latency_ms=math.inf, link_mbit_s=link_mbit_s)

    assert transfer_ms(1, budget) == math.inf
    unlimited = Budget(memory_bytes=10**6, latency_ms=1e300, link_mbit_s=link_mbit_s)
    assert admitted_options([1000], 100, unlimited) == [True, False]


def test_capacities_are_admitted_by_memory_and_the_cloud_by_the_deadline() -> None:
    budget = Budget(memory_bytes=2000, latency_ms=50.0, link_mbit_s=1.0, link_rtt_ms=42.0)

    assert admitted_options([1000, 2000, 2001], 1000, budget) == [True, True, False, True]
    assert admitted_options([1000, 2000, 2001], 1001, budget) == [True, True, False, False]


def test_empty_budget_admits_nothing() -> None:
    assert admitted_options([1, 2], 300, Budget()) == [False, False, False]


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_more_memory_removes_no_option(sizes: list[int], memory: int, more: int) -> None:
    little = admitted_options(sizes, 1000, Budget(memory_bytes=memory))
    much = admitted_options(sizes, 1000, Budget(memory_bytes=memory + more))

    assert all(after or not before for before, after in zip(little, much, strict=True))


@pytest.mark.parametrize(
    ("memory_bytes", "capacity"), [(0, 0), (999, 0), (1000, 1), (2999, 2), (3000, 3), (10**9, 3)]
)
def test_largest_capacity_that_fits_is_admitted(memory_bytes: int, capacity: int) -> None:
    assert largest_capacity([1000, 2000, 3000], memory_bytes) == capacity


def test_larger_capacity_that_needs_less_memory_is_admitted_by_itself() -> None:
    assert largest_capacity([2000, 1500], 1500) == 2
