"""Reads the state of a fleet and its lost receipts from the store, to check the fleet's health."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from nestling_cloud.metrics.steps import EARLIEST_MS
from nestling_cloud.store import tables
from nestling_cloud.store.store import Store

# A connected device with more receipts in its outbox has had no acknowledgement for minutes.
LONG_OUTBOX = 1000


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Numbers of receipts that have been lost since the store was created.

    Attributes:
        dropped: the number of receipts that devices dropped because their outboxes (the devices'
            queues of receipts) were full.
        rejected: the number of receipts that the store rejected because their values were invalid.
        unreadable: the number of receipts that devices lost because rows of their outboxes were
            damaged.
        forgotten: the number of receipts that the store lost because it was wiped or restored from
            an older copy.
    """

    dropped: int = 0
    rejected: int = 0
    unreadable: int = 0
    forgotten: int = 0


@dataclass(frozen=True, kw_only=True)
class FleetCondition:
    """The condition of all devices in the store.

    Attributes:
        known: the number of devices that have ever reported.
        connected: the number of devices that are connected, according to the store.
        last_seen_ms: the Unix time of the last message from any device, or None if there is no
            message.
        last_answered_ms: the Unix time of the latest answer, or None if there is no answer.
        bundles: a mapping from each bundle version to the number of connected devices that run it;
            the key "" stands for devices that did not report a version.
        long_outboxes: the number of connected devices with more than `LONG_OUTBOX` receipts in the
            outbox.
        clocks_unset: the number of connected devices whose answers are all dated before 2020.
        losses: the numbers of lost receipts of all devices.
        damaged: the number of unreadable rows found in the store since it was opened.
    """

    known: int
    connected: int
    last_seen_ms: int | None
    last_answered_ms: int | None
    bundles: Mapping[str, int]
    long_outboxes: int
    clocks_unset: int
    losses: Losses
    damaged: int = 0


def fleet_condition(store: Store) -> FleetCondition:
    """Return the condition of all devices."""
    devices = tables.DEVICES.c
    unset = sa.and_(devices.answers > 0, devices.last_answered_ms < EARLIEST_MS)
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
        known, connected, seen_ms, answered_ms, long, clocks = connection.execute(query).one()
        bundles = {row[0]: row[1] for row in connection.execute(by_version)}
        losses = _losses(connection, None)
    return FleetCondition(
        known=known,
        connected=connected,
        last_seen_ms=seen_ms,
        last_answered_ms=answered_ms or None,
        bundles=bundles,
        long_outboxes=long,
        clocks_unset=clocks,
        losses=losses,
        damaged=store.damage.rows,
    )


def device_losses(store: Store, device: str) -> Losses:
    """Return the numbers of lost receipts of one device.

    Args:
        store: the store that holds the receipts.
        device: the device's id.
    """
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
