"""Computes a device's budget at each input, and whether its link is up.

The functions are pure and depend on input indices instead of the clock, so that a run can be
repeated. If several conditions of the same kind apply to an input, the last one in the scenario
file wins.
"""

from collections.abc import Iterator

from nestling.v1 import budget_pb2
from nestling_sim.scenario.limits import Needs, offload_of
from nestling_sim.scenario.scenario import (
    EVERY_DEVICE,
    BatteryCondition,
    Condition,
    Device,
    LinkCondition,
    MemoryCondition,
    OutageCondition,
    Scenario,
)


def budget_at(
    device: Device, index: int, length: int, scenario: Scenario, needs: Needs
) -> budget_pb2.Budget:
    """Return the budget of a device at one input.

    Args:
        device: a device of the scenario.
        index: the position of the input in the device's stream, from 0.
        length: the number of inputs in that stream.
        scenario: the scenario with its conditions and offload targets.
        needs: the memory, the operations and the bytes that the bundle needs.
    """
    memory_bytes = device.memory.memory_bytes(needs.memory_bytes)
    fair = {"mbit_s": device.mbit_s, "rtt_ms": device.rtt_ms}
    offload = offload_of(device.profile, device.link, memory_bytes, needs, **fair)
    latency_ms, energy_mj = device.limits.in_units(offload)
    budget = budget_pb2.Budget(
        memory_bytes=memory_bytes,
        latency_ms=latency_ms,
        energy_mj=energy_mj,
        link_mbit_s=device.mbit_s,
        link_rtt_ms=device.rtt_ms,
        battery=1.0,
        offload_share=scenario.offload.share,
        target_window=scenario.offload.window,
        tolerated_risk=scenario.offload.tolerated_risk,
        energy_per_input_mj=scenario.offload.energy_per_input_mj,
        latency_per_input_ms=scenario.offload.latency_per_input_ms,
        audit_share=scenario.offload.audit_share,
        defer=scenario.offload.defer,
    )
    for entry in _entries(device, scenario):
        if index in indices(entry, length):
            _apply(entry, budget, needs)
    return budget


def link_up_at(device: Device, index: int, length: int, scenario: Scenario) -> bool:
    """Return whether a device can reach the cloud at one input.

    Args:
        device: a device of the scenario.
        index: the position of the input in the device's stream, from 0.
        length: the number of inputs in that stream.
        scenario: the scenario with its conditions.
    """
    return not any(index in span for span in outages(device, length, scenario))


def outages(device: Device, length: int, scenario: Scenario) -> list[range]:
    """Return the input indices at which a device is cut off from the cloud and the broker.

    Args:
        device: a device of the scenario.
        length: the number of inputs in the device's stream.
        scenario: the scenario with its conditions.

    Returns:
        One range of indices for each of the scenario's outages that affect the device.
    """
    return [
        indices(entry, length)
        for entry in _entries(device, scenario)
        if isinstance(entry, OutageCondition)
    ]


def indices(entry: Condition, length: int) -> range:
    """Return the input indices at which a condition applies.

    If one condition ends where another starts (until = 0.5, from = 0.5), the two neither overlap
    nor leave a gap.

    Args:
        entry: the condition.
        length: the number of inputs in the stream.
    """
    return range(round(entry.start * length), round(entry.until * length))


def _entries(device: Device, scenario: Scenario) -> Iterator[Condition]:
    names = {EVERY_DEVICE, device.profile, device.device_id}
    return (entry for entry in scenario.conditions if names.intersection(entry.devices))


def _apply(entry: Condition, budget: budget_pb2.Budget, needs: Needs) -> None:
    match entry:
        case MemoryCondition():
            budget.memory_bytes = entry.memory_bytes(needs.memory_bytes)
        case BatteryCondition():
            budget.battery = entry.battery
        case LinkCondition():
            budget.link_mbit_s, budget.link_rtt_ms = entry.mbit_s, entry.rtt_ms
        case OutageCondition():
            pass  # a device notices an outage only when it tries to send
