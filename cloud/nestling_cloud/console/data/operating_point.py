"""The operating point of a device or of the fleet: wished, in force, observed."""

import asyncio
from dataclasses import dataclass

from nestling_cloud.console.data.console_data import Parts
from nestling_cloud.console.data.live import DeviceQuery
from nestling_cloud.control.targets import Wish
from nestling_cloud.metrics.views import Totals
from nestling_cloud.store.time_range import TimeRange

_SHOWN = 20
_STEP_MS = 10_000


@dataclass(frozen=True, kw_only=True)
class PointState:
    """What is known of an operating point.

    Attributes:
        wished: share, None where devices decide.
        in_force: smallest and largest share that devices reported, None where none did.
        last_change: of this wish, None if there never was one.
        since: figures since that change.
        log: last changes of any wish, the newest first.
    """

    wished: float | None
    in_force: tuple[float, float] | None
    last_change: Wish | None
    since: Totals | None
    log: tuple[Wish, ...]


async def read_state(parts: Parts, device: str | None) -> PointState:
    """Read the operating point of a device, or of the fleet for None."""
    wished, last, log = await asyncio.to_thread(_wishes, parts, device)
    return PointState(
        wished=wished,
        in_force=await _in_force(parts, device),
        last_change=last,
        since=await _since(parts, device, last.wished_at_ms) if last else None,
        log=tuple(log),
    )


def _wishes(parts: Parts, device: str | None) -> tuple[float | None, Wish | None, list[Wish]]:
    """Share wished, the last change that bears on it, and the last ones of anybody."""
    wishes = parts.wishes
    wished = wishes.for_fleet() if device is None else wishes.for_device(device)
    last = wishes.log(devices={device, None}, limit=1)
    return wished, last[0] if last else None, wishes.log(limit=_SHOWN)


async def _in_force(parts: Parts, device: str | None) -> tuple[float, float] | None:
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


async def _since(parts: Parts, device: str | None, changed_ms: int) -> Totals | None:
    now_ms = parts.live.now_ms()
    # Figures are of whole steps: begin with the first that the change did not fall into.
    since_ms = changed_ms - changed_ms % -_STEP_MS
    if since_ms >= now_ms:
        return None
    time_range = TimeRange(since_ms=since_ms, until_ms=now_ms)
    if device is None:
        return (await parts.live.fleet_in(time_range)).totals
    view = await parts.live.device_in(device, time_range)
    return view.totals if view else None
