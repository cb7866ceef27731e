"""Determines what a device may spend on the next input."""

from nestling.v1.budget_pb2 import Budget
from nestling_device.config.schema import Config
from nestling_device.energy.power_tables import load_link
from nestling_device.hardware.resources import available_memory_bytes, battery_charge


def budget_of(config: Config) -> Budget:
    """Return the budget for the next input.

    It combines the configured limits and targets with the battery's current charge and the typical
    figures of the configured link. Its memory limit is at most the memory that is available now.
    """
    limits, link = config.budget, load_link(config.board.link)
    memory_bytes = int(limits.memory_kb * 1000)
    available = available_memory_bytes()
    return Budget(
        memory_bytes=memory_bytes if available is None else min(memory_bytes, available),
        latency_ms=limits.latency_ms,
        energy_mj=limits.energy_mj,
        link_mbit_s=link.mbit_s,
        link_rtt_ms=link.rtt_ms,
        battery=battery_charge(name=config.board.battery),
        offload_share=limits.offload_share,
        target_window=limits.target_window,
        tolerated_risk=limits.tolerated_risk,
        energy_per_input_mj=limits.energy_per_input_mj,
        latency_per_input_ms=limits.latency_per_input_ms,
        audit_share=limits.audit_share,
        defer=limits.defer,
    )
