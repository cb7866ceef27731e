"""Reads the target offload share of a device or of the fleet, and how closely devices follow it.

The module also reads the latest changes of targets, and the figures since the last change.
"""

import asyncio
from dataclasses import dataclass

from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.live_figures import DeviceQuery
from nestling_cloud.control.targets import TargetChange
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.store.time_range import TimeRange
from nestling_core.clock import unix_ms

_LOGGED = 20
_STEP_MS = 10_000


@dataclass(frozen=True, kw_only=True)
class PointState:
    """The target offload share of a device or of the fleet, and how devices follow it.

    Attributes:
        target: the target offload share; None if the devices' own configuration applies.
        in_force: the smallest and the largest target share that devices reported to be in force;
            None if no device reported one.
        last_change: the last change of the target, which for a device may be a change of the
            fleet's target; None if there was no change.
        since: the figures since that change, beginning with the first full step of 10 s; None if
            there are no such figures.
        log: the latest changes of all targets, newest first.
    """

    target: float | None
    in_force: tuple[float, float] | None
    last_change: TargetChange | None
    since: Totals | None
    log: tuple[TargetChange, ...]


async def read_state(parts: ConsoleData, device: str | None) -> PointState:
    """Return the target offload share of a device or of the fleet, and how devices follow it.

    Args:
        parts: the sources of the figures.
        device: the id of the device, or None for the whole fleet.
    """
    target, last, log = await asyncio.to_thread(_targets, parts, device)
    return PointState(
        target=target,
        in_force=await _in_force(parts, device),
        last_change=last,
        since=await _since(parts, device, last.set_at_ms) if last else None,
        log=tuple(log),
    )


def _targets(
    parts: ConsoleData, device: str | None
) -> tuple[float | None, TargetChange | None, list[TargetChange]]:
    """Return the target share, its last change, and the last changes of any target.

    The last change of a device's target share may be a change of the fleet's target.
    """
    targets = parts.targets
    last = targets.log(devices={device, None}, limit=1)
    return targets.for_device(device), last[0] if last else None, targets.log(limit=_LOGGED)


async def _in_force(parts: ConsoleData, device: str | None) -> tuple[float, float] | None:
    if device is not None:
        row = await parts.live.row(device)
        shares = [row.offload_share] if row else []
    else:
        shares = []
        for descending in (False, True):
            query = DeviceQuery(order_by="offload_share", descending=descending, limit=1)
            rows, _ = await parts.live.devices(query)
            shares += [row.offload_share for row in rows]
    known = [share for share in shares if share is not None]
    return (min(known), max(known)) if known else None


async def _since(parts: ConsoleData, device: str | None, changed_ms: int) -> Totals | None:
    now_ms = unix_ms()
    # Figures cover whole steps: begin with the first step after the change.
    since_ms = changed_ms - changed_ms % -_STEP_MS
    if since_ms >= now_ms:
        return None
    time_range = TimeRange(since_ms=since_ms, until_ms=now_ms)
    if device is None:
        return (await parts.live.fleet_in(time_range)).totals
    view = await parts.live.device_in(device, time_range)
    return view.totals if view else None
