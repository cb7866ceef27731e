"""What the store knows of how a fleet or a device is doing, for whoever asks what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.store import Store

# A connected device whose outbox holds more has not been acknowledged for minutes.
LONG_OUTBOX = 1000
# No device answered before this was written; a clock that says so has never been set.
_EARLIEST_MS = 1_577_836_800_000  # 2020-01-01


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Receipts that will never be among the figures, since the store was made.

    Attributes:
        dropped: by devices, whose outboxes were full.
        rejected: by the store, because they made no sense.
        unreadable: by devices, because the row in the outbox was damaged.
        forgotten: stored once; then the store was wiped or put back to an older copy.
    """

    dropped: int = 0
    rejected: int = 0
    unreadable: int = 0
    forgotten: int = 0


@dataclass(frozen=True, kw_only=True)
class FleetCondition:
    """How the devices are doing that the store knows.

    Attributes:
        known: devices that were ever heard of.
        connected: of them, those that were born and did not die since.
        last_heard_ms: when the last message of any came, None without any.
        last_answered_ms: when the latest answer was given, None without any.
        bundles: connected devices by the version that they run, "" where they did not say.
        long_outboxes: connected devices with more than `LONG_OUTBOX` receipts unsent.
        clocks_unset: connected devices whose answers are all dated before there were any.
        losses: of all devices.
        damaged: rows of the store that were met since its opening and cannot be read.
    """

    known: int
    connected: int
    last_heard_ms: int | None
    last_answered_ms: int | None
    bundles: Mapping[str, int]
    long_outboxes: int
    clocks_unset: int
    losses: Losses
    damaged: int = 0


def fleet_condition(store: Store) -> FleetCondition:
    """Read how the devices are doing."""
    devices = tables.DEVICES.c
    unset = sa.and_(devices.answers > 0, devices.last_answered_ms < _EARLIEST_MS)
    online = sa.and_(devices.online, devices.online.is_not(None))
    query = sa.select(
        sa.func.count(),
        sa.func.count().filter(online),
        sa.func.max(devices.last_seen_ms),
        sa.func.max(devices.last_answered_ms),
        sa.func.count().filter(online, devices.outbox_depth > LONG_OUTBOX),
        sa.func.count().filter(online, unset),
    )
    version = sa.func.coalesce(devices.bundle_version, "")
    by_version = sa.select(version, sa.func.count()).where(online).group_by(version)
    with store.reading() as connection:
        known, connected, heard_ms, answered_ms, long, clocks = connection.execute(query).one()
        bundles = {row[0]: row[1] for row in connection.execute(by_version)}
        losses = _losses(connection, None)
    return FleetCondition(
        known=known,
        connected=connected,
        last_heard_ms=heard_ms,
        last_answered_ms=answered_ms or None,
        bundles=bundles,
        long_outboxes=long,
        clocks_unset=clocks,
        losses=losses,
        damaged=store.damage.rows,
    )


def device_losses(store: Store, device: str) -> Losses:
    """Read what was lost of one device's receipts."""
    with store.reading() as connection:
        return _losses(connection, device)


def _losses(connection: sa.Connection, device: str | None) -> Losses:
    gaps, outboxes = tables.GAPS.c, tables.OUTBOXES.c
    in_gaps = sa.select(gaps.reason, sa.func.sum(tables.GAP_LENGTH)).group_by(gaps.reason)
    rejected = sa.select(sa.func.sum(outboxes.rejected))
    if device is not None:
        in_gaps = in_gaps.where(gaps.device == device)
        rejected = rejected.where(outboxes.device == device)
    lost = {row[0]: int(row[1]) for row in connection.execute(in_gaps)}
    return Losses(
        dropped=lost.get(tables.DROPPED, 0),
        rejected=int(connection.execute(rejected).scalar() or 0),
        unreadable=lost.get(tables.UNREADABLE, 0),
        forgotten=lost.get(tables.FORGOTTEN, 0),
    )
