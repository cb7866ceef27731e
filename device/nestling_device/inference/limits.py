"""Finds which limits of a budget (memory, latency, energy, link) an option exceeds.

An option is a capacity or an offload. Each excess comes with the amount that the option needs and
the amount that is allowed. Routing only asks whether limits are exceeded. Logs, `doctor` and the
simulator's report print the amounts. Nothing here does I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason
from nestling_core.routing.admission import transfer_ms

# Battery charge, 0 to 1, below which the energy limit shrinks in proportion to the charge.
LOW_BATTERY = 0.2

Limit = Literal["link", "energy", "battery", "latency", "memory"]

# The receipt's reason for not asking the cloud, by the limit that an offload exceeds.
REASONS: dict[Limit, Reason.ValueType] = {
    "link": receipt_pb2.REASON_NO_LINK,
    "energy": receipt_pb2.REASON_ENERGY_LIMIT,
    "battery": receipt_pb2.REASON_LOW_BATTERY,
    "latency": receipt_pb2.REASON_LATENCY_LIMIT,
}
# Every reason that keeps an input on the device regardless of the policy's thresholds.
NOT_ASKED = frozenset({*REASONS.values(), receipt_pb2.REASON_BACK_OFF})
_UNITS: dict[Limit, str] = {"energy": "mJ", "battery": "mJ", "latency": "ms", "memory": "bytes"}


@dataclass(frozen=True, kw_only=True)
class CapacityCost:
    """The costs of one capacity on this device.

    Attributes:
        memory_bytes: the memory that the capacity needs while it is loaded.
        latency_ms: the time of one run, which is compared with limits. It is the 95th percentile if
            the capacity was measured, and an estimate otherwise.
        median_ms: the median time of one run, from which the mean cost of an input is estimated. It
            equals `latency_ms` if the capacity was not measured.
        energy_mj: the energy of one run.
    """

    memory_bytes: int
    latency_ms: float
    median_ms: float
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class Excess:
    """A limit that an option exceeds.

    Attributes:
        limit: the name of the limit. "battery" means that the option exceeds the energy limit only
            because a low battery reduces it. "link" means that there is no link; `needed` and
            `allowed` are then 0.
        needed: the amount that the option needs, in mJ, ms or bytes.
        allowed: the amount that the budget allows, in the same unit.
    """

    limit: Limit
    needed: float = 0.0
    allowed: float = 0.0

    @property
    def unit(self) -> str:
        """The unit of `needed` and `allowed`, or "" for the link."""
        return _UNITS.get(self.limit, "")

    def __str__(self) -> str:
        """Return a phrase that states both figures, or that there is no link."""
        if self.limit == "link":
            return "there is no link"
        cause = ", with the battery low," if self.limit == "battery" else ""
        return (
            f"{self.needed:,.4g} {self.unit} are needed and{cause} {self.allowed:,.4g} "
            f"{self.unit} allowed"
        )


def energy_limit_mj(budget: Budget) -> float:
    """Return the most energy that one answer may take, in mJ.

    Below a battery charge of 20 %, the budget's limit is reduced in proportion to the charge.
    """
    return budget.energy_mj * min(1.0, budget.battery / LOW_BATTERY)


def capacity_excess(costs: Sequence[CapacityCost], budget: Budget) -> tuple[Excess, ...]:
    """Return the limits that capacities exceed if all of them are loaded and run on one input.

    Args:
        costs: the costs of these capacities.
        budget: the limits for the input.
    """
    return (
        *_over("memory", sum(cost.memory_bytes for cost in costs), budget.memory_bytes),
        *_over_answer(0.0, 0.0, costs, budget),
    )


def offload_excess(
    size_bytes: int, energy_mj: float, budget: Budget, *, after: Sequence[CapacityCost] = ()
) -> tuple[Excess, ...]:
    """Return the limits that an offload and the runs before it exceed together.

    The result is empty if the budget admits the offload. If there is no link, the result contains
    only the link.

    Args:
        size_bytes: the number of bytes sent and received.
        energy_mj: the energy that the radio needs for the offload.
        budget: the limits for the input.
        after: the costs of the capacities that have already run on the input.
    """
    # Checked first: an infinite latency limit would admit an offload without a link.
    if not budget.link_mbit_s > 0:
        return (Excess(limit="link"),)
    return _over_answer(transfer_ms(size_bytes, budget), energy_mj, after, budget)


def _over_answer(
    latency_ms: float, energy_mj: float, costs: Sequence[CapacityCost], budget: Budget
) -> tuple[Excess, ...]:
    latency_ms += sum(cost.latency_ms for cost in costs)
    energy_mj += sum(cost.energy_mj for cost in costs)
    return (
        *_over_energy(energy_mj, budget),
        *_over("latency", latency_ms, budget.latency_ms),
    )


def _over_energy(energy_mj: float, budget: Budget) -> tuple[Excess, ...]:
    if energy_mj <= budget.energy_mj:
        return _over("battery", energy_mj, energy_limit_mj(budget))
    return _over("energy", energy_mj, budget.energy_mj)


def _over(limit: Limit, needed: float, allowed: float) -> tuple[Excess, ...]:
    # Written so that NaN counts as an excess.
    return () if needed <= allowed else (Excess(limit=limit, needed=needed, allowed=allowed),)
