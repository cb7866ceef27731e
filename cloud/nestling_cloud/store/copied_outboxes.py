"""State folders that were copied, as their outboxes show it.

A device names with every batch the outbox that it wrote before this one. Two outboxes that follow
the same one come from two copies of a state folder: a cloned SD card, or a backup that was put
back. The outboxes of a copy are a branch of their own. A backup ends the branch that it replaces;
where two branches go on delivering, two devices run under one identity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nestling.v1 import receipt_pb2
from nestling_cloud.store import tables
from nestling_cloud.store.ledger import Ledger
from nestling_cloud.store.outboxes import Key

# Branches that delivered within it are taken to go on side by side.
TOGETHER_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A batch with the device that it came from."""

    device: str
    batch: receipt_pb2.ReceiptBatch

    @property
    def key(self) -> Key:
        """Device and outbox."""
        return self.device, self.batch.outbox_id


def place(
    connection: sa.Connection,
    ledgers: Mapping[Key, Ledger],
    deliveries: Sequence[Delivery],
    *,
    now_ms: int,
) -> None:
    """Note in ledgers that a batch came, and in new ones which branch they are of.

    Args:
        connection: within a writing transaction.
        ledgers: of every outbox that delivers.
        deliveries: in the order in which they came.
        now_ms: Unix time.
    """
    placed: list[Ledger] = []  # in this transaction: not in the database yet
    for delivery in deliveries:
        ledger, batch = ledgers[delivery.key], delivery.batch
        is_first = ledger.is_new and not ledger.seen_ms
        ledger.seen_ms = now_ms
        if is_first and batch.previous_outbox_id:
            ledger.previous_id = batch.previous_outbox_id
            ledger.branch = _branch(connection, placed, ledger, forked=batch.forked)
        if is_first:
            placed.append(ledger)


def side_by_side(
    connection: sa.Connection, *, now_ms: int, device: str | None = None
) -> dict[str, int]:
    """Count the copies that deliver under one identity, by device; only those with several.

    Args:
        connection: any.
        now_ms: Unix time.
        device: this one only.
    """
    columns = tables.OUTBOXES.c
    copied = sa.select(columns.device).where(columns.branch != "")
    if device is not None:
        copied = copied.where(columns.device == device)
    alive = (
        sa.select(columns.device, sa.func.count(columns.branch.distinct()).label("copies"))
        .where(columns.device.in_(copied), columns.seen_ms >= now_ms - TOGETHER_MS)
        .group_by(columns.device)
    )
    found = connection.execute(alive)
    return {name: copies for name, copies in found if copies > 1}


def _branch(
    connection: sa.Connection, placed: Sequence[Ledger], ledger: Ledger, *, forked: bool
) -> str:
    """Branch of a new outbox: that of the one before, unless another follows that one already."""
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
