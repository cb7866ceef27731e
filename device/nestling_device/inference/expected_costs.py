"""Estimates the cost of an input in advance.

There are estimates for a run of each capacity, for the average input that stays on the device, and
for sending an input to the cloud.
"""

from collections.abc import Sequence

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Calibration, Manifest
from nestling_core.routing.admission import transfer_ms
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.energy.meter import Meter
from nestling_device.inference.limits import CapacityCost
from nestling_device.inference.target_controller import InputCost


def capacity_costs(
    manifest: Manifest, version: str, meter: Meter, measured: MeasuredCosts | None
) -> list[CapacityCost]:
    """Return the expected costs of capacities 1 to K.

    The time and energy of a capacity are the measured ones if it was measured, and the meter's
    estimates otherwise. The memory is always the figure in the manifest.

    Args:
        manifest: the manifest of the bundle.
        version: the version of the bundle. Measured costs apply to one version only.
        meter: the meter that estimates the costs that were not measured.
        measured: the costs measured on this machine, or None if there are none.
    """
    return [
        _cost(manifest, version, number, meter, measured)
        for number in range(1, len(manifest.capacities) + 1)
    ]


def kept_input(
    costs: Sequence[CapacityCost], calibration: Calibration, start: int, resident: int
) -> InputCost:
    """Return the expected mean cost of an input that stays on the device.

    Args:
        costs: the costs of capacities 1 to K.
        calibration: the bundle's calibration, with the share of inputs on which the larger
            capacity of each cascade runs.
        start: the capacity that runs first.
        resident: the larger capacity that may run after `start`. It equals `start` if only one
            capacity is loaded.
    """
    first, last = costs[start - 1], costs[resident - 1]
    if start == resident:
        return InputCost(share=0, energy=last.energy_mj, latency=last.median_ms)
    larger_share = calibration.cascades[resident - 1].larger_share
    return InputCost(
        share=0,
        energy=first.energy_mj + larger_share * last.energy_mj,
        latency=first.median_ms + larger_share * last.median_ms,
    )


def sent_input(size_bytes: int, radio_mj: float, budget: Budget) -> InputCost:
    """Return the expected cost of sending an input to the cloud, without any run on the device.

    Args:
        size_bytes: the number of bytes sent and received.
        radio_mj: the energy of the radio for these bytes.
        budget: the budget, which states the throughput and round-trip time of the link.
    """
    return InputCost(share=1, energy=radio_mj, latency=transfer_ms(size_bytes, budget))


def _cost(
    manifest: Manifest, version: str, number: int, meter: Meter, measured: MeasuredCosts | None
) -> CapacityCost:
    entry = manifest.capacities[number - 1]
    known = measured.capacity(version, number) if measured else None
    if known is not None:
        latency_ms, median_ms = known.latency_p95_ms, known.latency_ms
        energy_mj = known.energy_mj
    else:
        spent = meter.estimate(entry.macs)
        latency_ms = median_ms = spent.latency_ms
        energy_mj = spent.energy_mj
    return CapacityCost(
        memory_bytes=entry.memory_bytes,
        latency_ms=latency_ms,
        median_ms=median_ms,
        energy_mj=energy_mj,
    )
