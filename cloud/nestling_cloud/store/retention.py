"""Deletes the rows that the store no longer has to keep.

`Retention` defines how much data the store keeps. Every commit deletes some of the older rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from nestling_cloud.store import tables

DAY_MS = 24 * 3_600_000

# Each commit deletes up to this many more receipts than it adds, so that a smaller retention
# window takes effect over time.
_RECEIPTS_MORE = 500
_SUMS_A_COMMIT = 5000


@dataclass(frozen=True, kw_only=True)
class Retention:
    """The amount of data that the store keeps.

    Attributes:
        receipts: the number of most recent receipts to keep. An older receipt is also kept while
            an earlier sequence number of its outbox is still missing, that is, neither stored nor
            recorded as lost. Until then, the receipt's row is the only record that it arrived.
        fleet_ms: a mapping from the step length of each rollup of the fleet to the time for which
            its sums are kept, both in ms; None keeps the sums forever.
        device_ms: the same mapping for the rollups of each device.
    """

    receipts: int = 1_000_000
    fleet_ms: Mapping[int, int | None] = field(
        default_factory=lambda: {10_000: 2 * DAY_MS, 60_000: 30 * DAY_MS, 3_600_000: None}
    )
    device_ms: Mapping[int, int | None] = field(
        default_factory=lambda: {60_000: 2 * DAY_MS, 3_600_000: None}
    )


def trim(connection: sa.Connection, retention: Retention, *, new: int, now_ms: int) -> None:
    """Delete some of the receipts and sums that the store no longer has to keep.

    Args:
        connection: a connection within a writing transaction.
        retention: the amount of data to keep.
        new: the number of receipts that this transaction added; with 0, no receipt is deleted.
        now_ms: the current Unix time.
    """
    if new:
        _trim_receipts(connection, retention.receipts, at_most=new + _RECEIPTS_MORE)
    for rollups, kept in (
        (tables.FLEET_ROLLUPS, retention.fleet_ms),
        (tables.DEVICE_ROLLUPS, retention.device_ms),
    ):
        for step_ms, keep_ms in kept.items():
            if keep_ms is not None:
                _trim_rollup(connection, rollups[step_ms], before_ms=now_ms - keep_ms)


def _trim_receipts(connection: sa.Connection, keep: int, *, at_most: int) -> None:
    ids = tables.RECEIPTS.c.id
    ends = sa.select(
        sa.select(sa.func.min(ids)).scalar_subquery(), sa.select(sa.func.max(ids)).scalar_subquery()
    )
    lowest, highest = connection.execute(ends).one()
    if highest is None or highest - lowest < keep:
        return
    oldest = sa.select(ids).where(ids <= highest - keep, settled()).order_by(ids).limit(at_most)
    connection.execute(sa.delete(tables.RECEIPTS).where(ids.in_(oldest)))


def settled() -> sa.ColumnElement[bool]:
    """Return the SQL condition that selects the receipts whose rows may be deleted.

    These are the receipts up to whose sequence every sequence of the outbox is stored or in a gap.
    If such a receipt arrives again, the outbox's ledger recognizes it without its row.
    """
    receipts, outboxes = tables.RECEIPTS.c, tables.OUTBOXES.c
    return sa.exists().where(
        outboxes.device == receipts.device,
        outboxes.outbox_id == receipts.outbox_id,
        outboxes.contiguous >= receipts.sequence,
    )


def _trim_rollup(connection: sa.Connection, table: sa.Table, *, before_ms: int) -> None:
    start = table.c.start_ms
    first: int | None = connection.execute(sa.select(sa.func.min(start))).scalar()
    if first is None or first >= before_ms:
        return
    oldest = sa.select(start).where(start < before_ms).order_by(start)
    last = connection.execute(oldest.offset(_SUMS_A_COMMIT).limit(1)).scalar()
    connection.execute(sa.delete(table).where(start < before_ms if last is None else start <= last))
