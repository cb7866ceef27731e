import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import OperatingPoint, RoutingCurve
from nestling_device.inference import policy
from nestling_device.inference.limits import (
    LOW_BATTERY,
    CapacityCost,
    energy_limit_mj,
    offload_excess,
)
from nestling_device.inference.policy import Thresholds
from nestling_device.inference.resident_capacity import resident_capacity, start_capacity

amounts = st.floats(0, 1e6)
shares = st.floats(0, 1)
probabilities = st.floats(0, 1)


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    return Budget(
        memory_bytes=draw(st.integers(0, 10**6)),
        latency_ms=draw(amounts | st.just(float("inf"))),
        energy_mj=draw(amounts),
        link_mbit_s=draw(st.just(0.0) | st.floats(1e-3, 1e3)),
        link_rtt_ms=draw(st.floats(0, 1e4)),
        battery=draw(shares),
        offload_share=draw(shares),
    )


costs = st.lists(
    st.builds(
        CapacityCost, memory_bytes=st.integers(0, 10**6), latency_ms=amounts, energy_mj=amounts
    ),
    min_size=1,
    max_size=6,
)


@st.composite
def curves(draw: st.DrawFn) -> RoutingCurve:
    """Return curves whose thresholds fall as the share rises."""
    inner = draw(st.lists(st.floats(0.01, 0.99), max_size=5, unique=True))
    points = [0.0, *sorted(inner), 1.0]
    gate, accept = (
        sorted(draw(st.lists(st.floats(-1, 1), min_size=len(points), max_size=len(points))))[::-1]
        for _ in range(2)
    )
    return RoutingCurve(
        points=[
            OperatingPoint(offload_share=share, gate_threshold=g, accept_threshold=a)
            for share, g, a in zip(points, gate, accept, strict=True)
        ]
    )


def within(cost: CapacityCost, budget: Budget) -> bool:
    battery_factor = min(1.0, budget.battery / LOW_BATTERY)
    return (
        cost.memory_bytes <= budget.memory_bytes
        and cost.latency_ms <= budget.latency_ms
        and cost.energy_mj <= budget.energy_mj * battery_factor
    )


@given(costs=costs, budget=budgets(), data=st.data())
def test_resident_capacity_is_the_largest_within_the_limits_or_1(
    costs: list[CapacityCost], budget: Budget, data: st.DataObject
) -> None:
    held = data.draw(st.integers(1, len(costs)))

    chosen = resident_capacity(costs, held, budget)

    assert 1 <= chosen <= held
    assert chosen == 1 or within(costs[chosen - 1], budget)
    assert not any(within(cost, budget) for cost in costs[chosen:held])


@given(costs=costs, budget=budgets())
def test_more_memory_never_means_a_smaller_capacity(
    costs: list[CapacityCost], budget: Budget
) -> None:
    richer = Budget()
    richer.CopyFrom(budget)
    richer.memory_bytes = 2 * budget.memory_bytes + 1000

    small = resident_capacity(costs, len(costs), budget)
    large = resident_capacity(costs, len(costs), richer)

    assert small <= large


@given(costs=costs, budget=budgets(), data=st.data())
def test_start_is_the_preferred_capacity_only_if_both_are_admitted(
    costs: list[CapacityCost], budget: Budget, data: st.DataObject
) -> None:
    resident = data.draw(st.integers(1, len(costs)))
    preferred = data.draw(st.integers(0, len(costs)))

    start = start_capacity(costs, resident, preferred, budget)

    assert start in {preferred, resident}
    if start != resident:
        first, last = costs[start - 1], costs[resident - 1]
        both = CapacityCost(
            memory_bytes=first.memory_bytes + last.memory_bytes,
            latency_ms=first.latency_ms + last.latency_ms,
            median_ms=first.median_ms + last.median_ms,
            energy_mj=first.energy_mj + last.energy_mj,
        )
        assert 0 < start < resident
        assert within(both, budget)


@given(gain=st.floats(-1, 1), threshold=st.floats(-1, 1), more=st.floats(0, 1))
def test_higher_threshold_never_runs_the_larger_capacity_more_often(
    gain: float, threshold: float, more: float
) -> None:
    assert policy.runs_larger(gain, threshold) >= policy.runs_larger(gain, threshold + more)


# Limits around what an offload takes: far below, just below, exactly that, just above, far above.
nearly = st.sampled_from([0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0])


@given(
    budget=budgets(),
    size=st.integers(0, 10**6),
    energy_mj=amounts,
    ran=costs,
    drawn=st.tuples(st.floats(1e-3, 1e3), nearly, nearly),
)
def test_offload_is_admitted_only_in_time_and_within_the_energy_limit(
    budget: Budget,
    size: int,
    energy_mj: float,
    ran: list[CapacityCost],
    drawn: tuple[float, float, float],
) -> None:
    link, time_part, energy_part = drawn
    budget.link_mbit_s = link
    transfer = budget.link_rtt_ms + size * 8 / (link * 1e3)
    needed_ms = transfer + sum(cost.latency_ms for cost in ran)
    needed_mj = energy_mj + sum(cost.energy_mj for cost in ran)
    budget.latency_ms, budget.energy_mj = time_part * needed_ms, energy_part * needed_mj

    admitted = not offload_excess(size, energy_mj, budget, after=ran)

    in_time = needed_ms <= budget.latency_ms
    within_energy = needed_mj <= energy_limit_mj(budget)
    assert admitted == (in_time and within_energy)


def test_no_link_rules_out_an_offload_even_without_a_latency_limit() -> None:
    budget = Budget(latency_ms=float("inf"), energy_mj=1, battery=1)

    assert offload_excess(100, 0.0, budget)


@pytest.mark.parametrize(
    ("battery", "limit_mj"), [(1.0, 10.0), (0.2, 10.0), (0.1, 5.0), (0.0, 0.0)]
)
def test_low_battery_shrinks_the_energy_limit(battery: float, limit_mj: float) -> None:
    assert energy_limit_mj(Budget(energy_mj=10, battery=battery)) == pytest.approx(limit_mj)


@given(curve=curves())
def test_thresholds_at_an_operating_point_are_those_of_the_point(curve: RoutingCurve) -> None:
    for point in curve.points:
        thresholds = policy.thresholds_for(curve, point.offload_share)

        assert thresholds.gate == pytest.approx(point.gate_threshold)
        assert thresholds.accept == pytest.approx(point.accept_threshold)


@given(curve=curves(), one=shares, other=shares)
def test_larger_share_never_raises_a_threshold(
    curve: RoutingCurve, one: float, other: float
) -> None:
    less, more = (policy.thresholds_for(curve, share) for share in sorted((one, other)))

    assert more.gate <= less.gate + 1e-9
    assert more.accept <= less.accept + 1e-9


@given(curve=curves(), share=shares)
def test_thresholds_lie_between_those_of_the_neighboring_points(
    curve: RoutingCurve, share: float
) -> None:
    thresholds = policy.thresholds_for(curve, share)

    low, high = next(
        (low, high)
        for low, high in itertools.pairwise(curve.points)
        if low.offload_share <= share <= high.offload_share
    )
    assert high.gate_threshold - 1e-9 <= thresholds.gate <= low.gate_threshold + 1e-9
    assert high.accept_threshold - 1e-9 <= thresholds.accept <= low.accept_threshold + 1e-9


@given(curve=curves(), share=st.floats(allow_nan=False))
def test_share_outside_the_curve_is_clipped(curve: RoutingCurve, share: float) -> None:
    nearest = min(max(share, 0.0), 1.0)

    assert policy.thresholds_for(curve, share) == policy.thresholds_for(curve, nearest)


@given(gain=st.floats(-1, 1), one=st.floats(-1, 1), other=st.floats(-1, 1))
def test_higher_threshold_never_prefers_the_cloud_more_often(
    gain: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert policy.prefers_cloud(gain, low) or not policy.prefers_cloud(gain, high)


@given(gain=st.floats(-1, 1), more=probabilities, threshold=st.floats(-1, 1))
def test_larger_gain_never_prefers_the_cloud_less_often(
    gain: float, more: float, threshold: float
) -> None:
    assume(policy.prefers_cloud(gain, threshold))

    assert policy.prefers_cloud(gain + more, threshold)


@given(costs=costs, budget=budgets(), curve=curves())
def test_equal_arguments_give_equal_decisions(
    costs: list[CapacityCost], budget: Budget, curve: RoutingCurve
) -> None:
    def decide() -> tuple[int, Thresholds]:
        copy = Budget.FromString(budget.SerializeToString())
        capacity = resident_capacity(list(costs), len(costs), copy)
        return capacity, policy.thresholds_for(curve, copy.offload_share)

    assert decide() == decide()


def test_nan_gain_prefers_the_cloud() -> None:
    assert policy.prefers_cloud(float("nan"), 2.0)


def test_tie_stays_on_the_device() -> None:
    assert not policy.prefers_cloud(0.25, 0.25)
    assert policy.prefers_cloud(math.nextafter(0.25, 1), 0.25)


def test_tie_does_not_run_the_larger_capacity() -> None:
    assert not policy.runs_larger(0.25, 0.25)
    assert policy.runs_larger(math.nextafter(0.25, 1), 0.25)
