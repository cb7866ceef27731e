"""Which limits of a budget an option exceeds, with the figure needed and the figure allowed: pure.

The policy asks whether anything is exceeded; logs, `doctor` and the simulator's report say what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import Reason
from nestling_core.routing.admission import transfer_ms

# Below this charge a device saves: its energy limit shrinks in proportion.
LOW_BATTERY = 0.2

Limit = Literal["link", "energy", "battery", "latency", "memory"]

# Why the cloud was not asked, by the limit that an offload exceeds.
REASONS: dict[Limit, Reason.ValueType] = {
    "link": receipt_pb2.REASON_NO_LINK,
    "energy": receipt_pb2.REASON_ENERGY_LIMIT,
    "battery": receipt_pb2.REASON_LOW_BATTERY,
    "latency": receipt_pb2.REASON_LATENCY_LIMIT,
}
# Every reason that keeps an input on the device whatever the policy would choose.
NOT_ASKED = frozenset({*REASONS.values(), receipt_pb2.REASON_BACK_OFF})
_UNITS: dict[Limit, str] = {"energy": "mJ", "battery": "mJ", "latency": "ms", "memory": "bytes"}


@dataclass(frozen=True, kw_only=True)
class CapacityCost:
    """What answering by one capacity takes on this device.

    Attributes:
        memory_bytes: while it is resident.
        latency_ms: of one run, at the 95th percentile where it was measured; limits are about it.
        median_ms: of one run; targets for the mean input are about it.
        energy_mj: of one run.
    """

    memory_bytes: int
    latency_ms: float
    median_ms: float
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class Excess:
    """A limit that an option exceeds.

    Attributes:
        limit: which one; "battery" where a full battery would admit the option, "link" where there
            is no link, which has no figures.
        needed: by the option: millijoules, milliseconds or bytes.
        allowed: by the budget, likewise.
    """

    limit: Limit
    needed: float = 0.0
    allowed: float = 0.0

    @property
    def unit(self) -> str:
        """Unit of both figures, empty for a link."""
        return _UNITS.get(self.limit, "")

    def __str__(self) -> str:
        """Both figures in words."""
        if self.limit == "link":
            return "there is no link"
        cause = ", with the battery low," if self.limit == "battery" else ""
        return (
            f"{self.needed:,.4g} {self.unit} are needed and{cause} {self.allowed:,.4g} "
            f"{self.unit} allowed"
        )


def energy_limit_mj(budget: Budget) -> float:
    """Energy that one answer may take, smaller while the battery is low."""
    return budget.energy_mj * min(1.0, budget.battery / LOW_BATTERY)


def capacity_excess(costs: Sequence[CapacityCost], budget: Budget) -> tuple[Excess, ...]:
    """List the limits that capacities exceed when they are resident and run together.

    Args:
        costs: of these capacities.
        budget: limits of now.
    """
    return (
        *_over("memory", sum(cost.memory_bytes for cost in costs), budget.memory_bytes),
        *_over_answer(0.0, 0.0, costs, budget),
    )


def offload_excess(
    size_bytes: int, energy_mj: float, budget: Budget, *, after: Sequence[CapacityCost] = ()
) -> tuple[Excess, ...]:
    """List the limits that an offload of an input exceeds; none means that it may go.

    Args:
        size_bytes: on the link, both ways.
        energy_mj: of the radio.
        budget: limits of now.
        after: of the capacities that have run on the input.
    """
    if not budget.link_mbit_s > 0:  # whatever the deadline
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
    # NaN is never within a limit.
    return () if needed <= allowed else (Excess(limit=limit, needed=needed, allowed=allowed),)
