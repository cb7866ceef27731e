"""Counts the inputs whose offload was ruled out or failed, by device and by reason."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nestling.v1 import receipt_pb2
from nestling.v1.budget_pb2 import Budget
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.tally import FALLBACKS
from nestling_device.inference.limits import REASONS, CapacityCost, Excess, offload_excess

BACK_OFF = "back_off"
# The limit that an offload exceeded, by the receipt's reason.
LIMITS = {
    receipt_pb2.Reason.Name(reason).removeprefix("REASON_").lower(): limit
    for limit, reason in REASONS.items()
}
NOT_SENT = (*LIMITS, BACK_OFF, *sorted(FALLBACKS))


def not_sent(receipts: Sequence[ReceiptRow]) -> dict[str, Any]:
    """Return summary.json's entry on inputs whose offload was ruled out or failed.

    An input that exceeds two limits counts for both, so the counts by reason may add up to more
    than the number of inputs.

    Args:
        receipts: the receipts of a run, in any order.

    Returns:
        A mapping with four entries:

        - `inputs`: the number of these inputs.
        - `reasons`: the number of these inputs by reason.
        - `devices`: the figures of each reason on each device, as `devices[device][reason]`. The
          figure `inputs` is the number of inputs. If the reason is a limit with a unit, there are
          three more figures: `needed` is what the offload needed, `allowed` is what the budget
          allowed, and `unit` is the unit of both. They are from the input that exceeded the limit
          by the largest factor.
        - `never`: the devices on which a limit ruled out the offload of every input.
    """
    counts: Counter[tuple[str, str]] = Counter()
    worst: dict[tuple[str, str], Excess] = {}
    for row in receipts:
        for reason, excess in _reasons(row):
            key = row.device, reason
            counts[key] += 1
            if excess is not None and _factor(excess) >= _factor(worst.get(key)):
                worst[key] = excess
    devices: dict[str, dict[str, Any]] = {}
    for (device, reason), inputs in sorted(counts.items()):
        figures = _figures(worst.get((device, reason)))
        devices.setdefault(device, {})[reason] = {"inputs": inputs, **figures}
    every = Counter(row.device for row in receipts)
    limited = Counter(row.device for row in receipts if row.reason in LIMITS)
    return {
        "inputs": sum(row.reason in NOT_SENT for row in receipts),
        "reasons": _by_reason(counts),
        "devices": devices,
        "never": sorted(device for device, count in every.items() if limited[device] == count),
    }


def _reasons(row: ReceiptRow) -> Iterator[tuple[str, Excess | None]]:
    """Yield each reason for which the offload of an input was ruled out or failed.

    The reason in the receipt comes first. If it is a limit, the other limits that the offload
    exceeds follow. Each reason comes with the excess over the limit, which is computed from the
    receipt by the policy's own rule. The excess is None if the reason is not a limit, or if the
    rule finds no excess.
    """
    if row.reason not in NOT_SENT:
        return
    excesses = {excess.limit: excess for excess in _excesses(row)}
    recorded = LIMITS.get(row.reason)
    yield row.reason, excesses.pop(recorded, None) if recorded else None
    names = {limit: reason for reason, limit in LIMITS.items()}
    for limit, excess in excesses.items():
        yield names[limit], excess


def _excesses(row: ReceiptRow) -> Sequence[Excess]:
    """Return the limits that the offload of an input exceeds.

    If the transfer alone exceeds any limits, only these are returned. Otherwise the limits are
    returned that the transfer and the device's own run exceed together. The result is empty if the
    receipt's reason is not a limit.
    """
    if row.reason not in LIMITS:
        return ()
    budget = Budget(
        latency_ms=row.budget_latency_ms,
        energy_mj=row.budget_energy_mj,
        link_mbit_s=row.budget_link_mbit_s,
        link_rtt_ms=row.budget_link_rtt_ms,
        battery=row.budget_battery,
    )
    ran = CapacityCost(
        memory_bytes=0,
        latency_ms=row.latency_ms,
        median_ms=row.latency_ms,
        energy_mj=row.energy_compute_mj,
    )
    alone, after = (
        offload_excess(row.offload_bytes, row.offload_energy_mj, budget, after=spent)
        for spent in ((), (ran,))
    )
    return alone or after


def _factor(excess: Excess | None) -> float:
    if excess is None:
        return 0.0
    return excess.needed / excess.allowed if excess.allowed > 0 else float("inf")


def _figures(excess: Excess | None) -> Mapping[str, Any]:
    if excess is None or not excess.unit:
        return {}
    return {
        "needed": round(excess.needed, 4),
        "allowed": round(excess.allowed, 4),
        "unit": excess.unit,
    }


def _by_reason(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for (_, reason), inputs in counts.items():
        total[reason] += inputs
    return {reason: total[reason] for reason in NOT_SENT if total[reason]}
