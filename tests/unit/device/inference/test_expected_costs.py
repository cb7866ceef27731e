from pathlib import Path

from nestling_device.energy.measured_costs import MeasuredCosts, NetworkCost
from tests.support.agent_rig import SENT_MS, SLOW, budget, like, make_rig, routes
from tests.support.hand_bundle import EASY, load_hand_bundle


def profiled(version: str, *energies_mj: float, p95_ms: float = 2.0) -> MeasuredCosts:
    """Return measured costs that differ only in energy; the median of a run is 1 ms."""
    networks = [
        NetworkCost(
            latency_ms=1,
            latency_p95_ms=p95_ms,
            resident_bytes=1,
            energy_mj=energy_mj,
            energy_provenance="measured",
        )
        for energy_mj in energies_mj
    ]
    return MeasuredCosts(
        bundle=version,
        machine="this one",
        taken_at="",
        meter="ina219",
        idle_w=1.0,
        active_w=1.0,
        capacities=tuple(networks),
    )


def test_measured_costs_take_precedence_over_the_power_table(tmp_path: Path) -> None:
    version = load_hand_bundle(tmp_path / "named").version
    costs = profiled(version, 1.0, 50.0, 80.0)
    measured = make_rig(tmp_path / "a", costs=costs).agent
    modelled = make_rig(tmp_path / "b").agent
    limits = [budget(energy_mj=limit) for limit in (49, 79, 81)]

    resident = [
        [agent.answer(index, EASY, limit).resident_capacity for index, limit in enumerate(limits)]
        for agent in (measured, modelled)
    ]

    assert resident == [[1, 2, 3], [3, 3, 3]]


def test_costs_that_were_not_measured_come_from_the_power_table(
    tmp_path: Path,
) -> None:
    version = load_hand_bundle(tmp_path / "named").version
    other = make_rig(tmp_path / "a", costs=profiled("other", 500.0, 500.0, 500.0)).agent
    partly = make_rig(tmp_path / "b", costs=profiled(version, 500.0, 500.0)).agent

    assert other.answer(0, EASY, budget(energy_mj=100)).resident_capacity == 3
    assert partly.answer(0, EASY, budget(energy_mj=100)).resident_capacity == 3


def test_latency_target_uses_the_median_of_a_run(tmp_path: Path) -> None:
    version = load_hand_bundle(tmp_path / "named").version
    costs = profiled(version, 1.0, 1.0, 1.0, p95_ms=900.0)
    rig = make_rig(tmp_path / "a", costs=costs)
    target = like(SLOW, target_window=0, latency_per_input_ms=1 + SENT_MS)

    assert routes([rig.agent.answer(0, EASY, target)]) == [(0, "gated")]
