"""Detects devices whose state folder was copied, from the history of their outboxes.

Every batch names the outbox that its device wrote before the current one. Two outboxes with the
same predecessor come from two copies of a state folder: a cloned SD card or a restored backup. The
outboxes of each copy form a branch. A restored backup ends the branch that it replaces; if two
branches keep delivering, two devices run under one identity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nestling.v1 import receipt_pb2
from nestling_cloud.store import tables
from nestling_cloud.store.deduplication import Ledger
from nestling_cloud.store.outboxes import Key

# Branches that delivered within this time count as active at once.
ACTIVE_WITHIN_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A batch of receipts and the device that sent it.

    Attributes:
        device: id of the device.
        batch: its receipts, gaps and outbox ids.
    """

    device: str
    batch: receipt_pb2.ReceiptBatch

    @property
    def key(self) -> Key:
        """The device and the outbox id."""
        return self.device, self.batch.outbox_id


def assign_branches(
    connection: sa.Connection,
    ledgers: Mapping[Key, Ledger],
    deliveries: Sequence[Delivery],
    *,
    now_ms: int,
) -> None:
    """Set the time of the last batch in each ledger, and the branch of each new one.

    Args:
        connection: within a writing transaction.
        ledgers: the ledger of every outbox in `deliveries`; changed in place.
        deliveries: batches in order of arrival.
        now_ms: Unix time.
    """
    placed: list[Ledger] = []  # new in this transaction, so not in the database yet
    for delivery in deliveries:
        ledger, batch = ledgers[delivery.key], delivery.batch
        is_first = ledger.is_new and not ledger.seen_ms
        ledger.seen_ms = now_ms
        if is_first and batch.previous_outbox_id:
            ledger.previous_id = batch.previous_outbox_id
            ledger.branch = _branch(connection, placed, ledger, forked=batch.forked)
        if is_first:
            placed.append(ledger)


def active_copies(
    connection: sa.Connection, *, now_ms: int, device: str | None = None
) -> dict[str, int]:
    """Count the copies that deliver under each device's identity.

    Args:
        connection: to read with.
        now_ms: Unix time.
        device: only this device; None for all.

    Returns:
        The number of active copies by device, for devices with more than one.
    """
    columns = tables.OUTBOXES.c
    copied = sa.select(columns.device).where(columns.branch != "")
    if device is not None:
        copied = copied.where(columns.device == device)
    alive = (
        sa.select(columns.device, sa.func.count(columns.branch.distinct()).label("copies"))
        .where(columns.device.in_(copied), columns.seen_ms >= now_ms - ACTIVE_WITHIN_MS)
        .group_by(columns.device)
    )
    found = connection.execute(alive)
    return {name: copies for name, copies in found if copies > 1}


def _branch(
    connection: sa.Connection, placed: Sequence[Ledger], ledger: Ledger, *, forked: bool
) -> str:
    """Return a new outbox's branch: its predecessor's, unless that one has a successor already."""
    columns = tables.OUTBOXES.c
    query = sa.select(columns.outbox_id, columns.previous_id, columns.branch).where(
        columns.device == ledger.device,
        sa.or_(columns.outbox_id == ledger.previous_id, columns.previous_id == ledger.previous_id),
    )
    relatives = [tuple(row) for row in connection.execute(query)]
    relatives += [
        (each.outbox_id, each.previous_id, each.branch)
        for each in placed
        if each.device == ledger.device
    ]
    siblings = {outbox for outbox, previous, _ in relatives if previous == ledger.previous_id}
    if forked or siblings - {ledger.outbox_id}:
        return ledger.outbox_id
    branches = {outbox: branch for outbox, _, branch in relatives}
    return str(branches.get(ledger.previous_id, ""))
