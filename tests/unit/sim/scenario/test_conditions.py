from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.budget_pb2 import Budget
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import plain_form
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.inference.limits import offload_excess
from nestling_sim.scenario.conditions import budget_at, indices, link_up_at, outages
from nestling_sim.scenario.limits import Needs, Offload, offload_of
from nestling_sim.scenario.scenario import Device, OutageCondition, Scenario, load_scenario

NEEDS = Needs(
    memory_bytes=[5_000, 9_000, 20_000],
    macs=[60_000, 200_000, 800_000],
    offload_bytes=offload_bytes(plain_form((3, 32, 32))),
)


SHAPES = [(6, 100), (1, 28, 28), (3, 32, 32), (3, 224, 224)]


def scenario(*conditions: dict[str, object]) -> Scenario:
    devices = [
        {
            "profile": profile,
            "count": 2,
            "memory_kb": 40,
            "latency_ms": 1000.0,
            "energy_mj": 50.0,
            "link": "wifi",
            "mbit_s": 5.0,
            "rtt_ms": 20.0,
        }
        for profile in ("pi-4b", "pi-5")
    ]
    return Scenario.model_validate(
        {
            "task": "wearable",
            "seed": 0,
            "offload": {"share": 0.25, "deadline_ms": 500.0},
            "devices": devices,
            "conditions": list(conditions),
        }
    )


def device(of: Scenario, device_id: str = "pi-4b-1") -> Device:
    return next(one for one in of.fleet() if one.device_id == device_id)


def memory(memory_kb: float, start: float, until: float, *names: str) -> dict[str, object]:
    return {
        "kind": "memory",
        "devices": list(names) or ["*"],
        "from": start,
        "until": until,
        "memory_kb": memory_kb,
    }


def test_device_has_its_own_budget_in_fair_conditions() -> None:
    fair = scenario()

    budget = budget_at(device(fair), 3, 10, fair, NEEDS)

    assert (budget.memory_bytes, budget.latency_ms, budget.energy_mj) == (40_000, 1000.0, 50.0)
    assert (budget.link_mbit_s, budget.link_rtt_ms) == (5.0, 20.0)
    assert (budget.battery, budget.offload_share) == (1.0, 0.25)


def test_memory_condition_applies_from_its_start_until_its_end() -> None:
    squeezed = scenario(memory(8, 0.2, 0.5))

    held = [budget_at(device(squeezed), i, 10, squeezed, NEEDS).memory_bytes for i in range(10)]

    assert held == [40_000] * 2 + [8_000] * 3 + [40_000] * 5


@pytest.mark.parametrize(("capacity", "held"), [(1, 1), (2, 2), (3, 3), (7, 3)])
def test_memory_for_a_capacity_admits_that_one_or_the_largest(capacity: int, held: int) -> None:
    squeezed = scenario(
        {
            "kind": "memory",
            "devices": ["*"],
            "from": 0.0,
            "until": 1.0,
            "memory_for_capacity": capacity,
        }
    )

    found = budget_at(device(squeezed), 0, 10, squeezed, NEEDS).memory_bytes

    assert held == sum(needed <= found for needed in NEEDS.memory_bytes)


@pytest.mark.parametrize(
    ("names", "met"),
    [
        (["*"], {"pi-4b-1", "pi-4b-2", "pi-5-1", "pi-5-2"}),
        (["pi-4b"], {"pi-4b-1", "pi-4b-2"}),
        (["pi-4b-2", "pi-5-1"], {"pi-4b-2", "pi-5-1"}),
    ],
)
def test_condition_applies_to_the_devices_that_it_names(names: list[str], met: set[str]) -> None:
    squeezed = scenario(memory(8, 0.0, 1.0, *names))

    small = {
        one.device_id
        for one in squeezed.fleet()
        if budget_at(one, 0, 10, squeezed, NEEDS).memory_bytes == 8_000
    }

    assert met == small


def test_later_entry_wins_if_two_of_a_kind_overlap() -> None:
    twice = scenario(memory(8, 0.0, 1.0), memory(16, 0.4, 0.6))

    held = [budget_at(device(twice), i, 10, twice, NEEDS).memory_bytes for i in (3, 4, 5, 6)]

    assert held == [8_000, 16_000, 16_000, 8_000]


def test_kinds_change_only_their_own_fields() -> None:
    span: dict[str, object] = {"devices": ["*"], "from": 0.0, "until": 1.0}
    mixed = scenario(
        {"kind": "battery", "battery": 0.1, **span},
        {"kind": "link", "mbit_s": 0.5, "rtt_ms": 300.0, **span},
    )

    budget = budget_at(device(mixed), 0, 10, mixed, NEEDS)

    assert (budget.battery, budget.link_mbit_s, budget.link_rtt_ms) == (0.1, 0.5, 300.0)
    assert budget.memory_bytes == 40_000


def test_outage_cuts_the_link_and_leaves_the_budget() -> None:
    out = scenario({"kind": "outage", "devices": ["pi-4b-1"], "from": 0.5, "until": 0.8})

    up = [link_up_at(device(out), i, 10, out) for i in range(10)]

    assert up == [True] * 5 + [False] * 3 + [True] * 2
    assert [range(5, 8)] == outages(device(out), 10, out)
    assert budget_at(device(out), 6, 10, out, NEEDS) == budget_at(device(out), 0, 10, out, NEEDS)
    assert link_up_at(device(out, "pi-4b-2"), 6, 10, out)


@given(st.floats(0.01, 0.99), st.integers(0, 5000))
def test_adjacent_entries_cover_every_index_once(middle: float, length: int) -> None:
    def outage(start: float, until: float) -> OutageCondition:
        entry = {"kind": "outage", "devices": ["*"], "from": start, "until": until}
        return OutageCondition.model_validate(entry)

    first, second = indices(outage(0.0, middle), length), indices(outage(middle, 1.0), length)

    assert list(range(length)) == [*first, *second]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["wearable", "federated"])
def test_built_in_scenarios_admit_offloads_of_any_size(name: str, shape: tuple[int, ...]) -> None:
    built_in = load_scenario(name)
    needs = replace(NEEDS, offload_bytes=offload_bytes(plain_form(shape)))

    for one in built_in.fleet():
        fair = budget_at(one, 0, 1000, built_in, needs)
        took = spent(one, fair, needs)

        assert took.energy_mj <= fair.energy_mj
        assert took.latency_ms <= fair.latency_ms


@pytest.mark.parametrize("shape", SHAPES)
def test_default_scenarios_slow_link_and_low_battery_exclude_the_cloud_at_any_size(
    shape: tuple[int, ...],
) -> None:
    default = load_scenario("wearable")
    needs = replace(NEEDS, offload_bytes=offload_bytes(plain_form(shape)))
    radio = ProfileMeter(load_board("pi-4b"), load_link("wifi"))
    closed = {}

    for name, index in (("pi-4b-1", 150), ("pi-zero-2w-1", 900)):
        one = device(default, name)
        budget = budget_at(one, index, 1000, default, needs)
        energy_mj = radio.radio_mj(needs.offload_bytes, budget)
        found = offload_excess(needs.offload_bytes, energy_mj, budget)
        closed[name] = found[0].limit if found else None

    assert closed == {"pi-4b-1": "energy", "pi-zero-2w-1": "battery"}


def test_limits_in_units_are_used_unchanged() -> None:
    fair = scenario()

    budget = budget_at(device(fair), 0, 10, fair, NEEDS)

    assert (budget.latency_ms, budget.energy_mj) == (1000.0, 50.0)


def spent(one: Device, fair: Budget, needs: Needs) -> Offload:
    link = {"mbit_s": fair.link_mbit_s, "rtt_ms": fair.link_rtt_ms}
    return offload_of(one.profile, one.link, fair.memory_bytes, needs, **link)
