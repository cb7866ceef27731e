"""Defines the limits of a scenario's devices.

A limit is set either in units or relative to what the task needs. A relative limit suits any task,
because the simulator computes from the trained bundle what the capacities and an offload need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest
from nestling_core.nest.bundle_files import memory_needed
from nestling_core.routing.admission import offload_bytes, transfer_ms
from nestling_core.wire.choice import best_form
from nestling_core.wire.forms import encodable
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link

Positive = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """The base class of all tables of a scenario file.

    Tables are checked strictly. For example, a number in quotation marks is refused.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The memory, the operations and the bytes that a bundle needs on any device.

    Attributes:
        memory_bytes: the memory of each capacity, smallest first.
        macs: the multiply-accumulates of each capacity, smallest first.
        offload_bytes: the bytes on the link for one offload.
    """

    memory_bytes: Sequence[int]
    macs: Sequence[int]
    offload_bytes: int

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return the needs of the bundle that a manifest describes."""
        return cls(
            memory_bytes=memory_needed(manifest),
            macs=[entry.macs for entry in manifest.capacities],
            offload_bytes=offload_bytes(best_form(manifest, encodable())),
        )


def kilobytes(value: float) -> int:
    """Convert kB of 1000 bytes to bytes."""
    return round(value * 1000)


class Memory(Table):
    """The memory budget of a device.

    A table sets either `memory_kb` or `memory_for_capacity`, which is the number of the largest
    capacity (one of the student's nested sizes) that fits into the budget. If the student has fewer
    capacities, its largest capacity fits.
    """

    memory_kb: Positive | None = None
    memory_for_capacity: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_memory(self) -> Self:
        _refuse(_fault(self, "memory", "memory_kb", "memory_for_capacity"))
        return self

    def memory_bytes(self, needed: Sequence[int]) -> int:
        """Return the budget in bytes.

        For `memory_for_capacity`, the budget is halfway between the needs of that capacity and of
        the next larger one. For the largest capacity, it is twice the need.

        Args:
            needed: the memory that each capacity needs, in bytes, smallest capacity first.
        """
        if self.memory_kb is not None:
            return kilobytes(self.memory_kb)
        assert self.memory_for_capacity is not None
        capacity = min(self.memory_for_capacity, len(needed))
        if capacity == len(needed):
            return needed[-1] * 2
        return (needed[capacity - 1] + needed[capacity]) // 2


class AnswerLimits(Table):
    """The limits on the time and the energy of one answer.

    Each limit is set either in units or as a multiple of what an offload takes. Here, an offload
    also includes the device's own run before the transfer, on the largest capacity that fits into
    memory. The transfer uses the throughput and the round-trip time in the device's own table.
    """

    latency_ms: Positive | None = None
    latency_for_offloads: Positive | None = None
    energy_mj: Positive | None = None
    energy_for_offloads: Positive | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        _refuse(
            _fault(self, "latency limit", "latency_ms", "latency_for_offloads"),
            _fault(self, "energy limit", "energy_mj", "energy_for_offloads"),
        )
        return self

    def in_units(self, offload: "Offload") -> tuple[float, float]:
        """Return the limit on time in milliseconds and the limit on energy in millijoules.

        Args:
            offload: the cost of one offload by this device, as returned by `offload_of`.
        """
        latency_ms = self.latency_ms or (self.latency_for_offloads or 0.0) * offload.latency_ms
        energy_mj = self.energy_mj or (self.energy_for_offloads or 0.0) * offload.energy_mj
        return latency_ms, energy_mj


@dataclass(frozen=True, kw_only=True)
class Offload:
    """The cost of one offload, including the device's own run before it.

    Attributes:
        latency_ms: the time from the start of the device's run to the cloud's answer.
        energy_mj: the energy of the processor and of the radio.
    """

    latency_ms: float
    energy_mj: float


def offload_of(
    profile: str, link: str, memory_bytes: int, needs: Needs, *, mbit_s: float, rtt_ms: float
) -> Offload:
    """Return the time and the energy of an offload, including the device's own run before it.

    The device runs the largest capacity that fits into the memory budget, or capacity 1 if none
    fits. The transfer uses the given throughput and round-trip time.

    Args:
        profile: the name of the board.
        link: the name of the radio link.
        memory_bytes: the device's memory budget, in bytes.
        needs: the memory, the operations and the bytes that the bundle needs.
        mbit_s: the throughput of the uplink, Mbit/s.
        rtt_ms: the round-trip time of the link, ms.
    """
    meter = _meter(profile, link)
    fair = Budget(link_mbit_s=mbit_s, link_rtt_ms=rtt_ms)
    fitting = sum(needed <= memory_bytes for needed in needs.memory_bytes)
    run = meter.estimate(needs.macs[max(fitting, 1) - 1])
    return Offload(
        latency_ms=run.latency_ms + transfer_ms(needs.offload_bytes, fair),
        energy_mj=run.energy_mj + meter.radio_mj(needs.offload_bytes, fair),
    )


@cache  # called at every input
def _meter(profile: str, link: str) -> ProfileMeter:
    return ProfileMeter(load_board(profile), load_link(link))


def _fault(table: Table, what: str, *keys: str) -> str:
    """Return an error message, or "" if the table has exactly one of the keys."""
    given = [key for key in keys if getattr(table, key) is not None]
    if len(given) == 1:
        return ""
    return f"found {' and '.join(given) or f'no {what}'}; give one of the keys {' and '.join(keys)}"


def _refuse(*faults: str) -> None:
    texts = [fault for fault in faults if fault]
    if texts:
        raise ValueError("; ".join(texts))
