"""Detects devices whose state folder was copied, from the history of their outboxes.

An outbox is a device's queue of receipts. Every batch of receipts names the outbox that its device
wrote before the current one. Two outboxes with the same predecessor come from two copies of a state
folder, for example a cloned SD card or a restored backup. The outboxes of each copy form a branch.
A restored backup ends the branch that it replaces. If two branches both keep delivering, two
devices run under one identity.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.deduplication import Ledger
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.outboxes import Key

# Branches that delivered within this time count as active at once.
ACTIVE_WITHIN_MS = 3_600_000


def assign_branches(
    connection: sa.Connection,
    ledgers: Mapping[Key, Ledger],
    deliveries: Sequence[Delivery],
    *,
    now_ms: int,
) -> None:
    """Record the arrival of batches in the ledgers of their outboxes.

    In every ledger, the time of the last batch is set. In the ledger of a new outbox, the
    predecessor and the branch are also set.

    Args:
        connection: a connection within a writing transaction.
        ledgers: the ledger of every outbox in `deliveries`; changed in place.
        deliveries: the batches in order of arrival.
        now_ms: the current Unix time.
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
    """Return how many copies of a state folder are active under each device's identity.

    A copy is active if a batch from it has arrived within the last hour.

    Args:
        connection: the connection for the query.
        now_ms: the current Unix time.
        device: the id of the only device to look at; None for all devices.

    Returns:
        A mapping from device id to the number of active copies. Devices with fewer than two are
        left out.
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
    """Return the branch of a new outbox.

    If the predecessor already has another successor, or if the device itself reports a fork, the
    outbox starts a new branch, whose name is the outbox's id. Otherwise the outbox continues the
    branch of its predecessor, or the original branch "" if the predecessor is unknown.

    Args:
        connection: the connection for the query.
        placed: the ledgers of other new outboxes, which are not in the database yet.
        ledger: the ledger of the new outbox, which names the predecessor.
        forked: whether the device reports a fork, that is, that it began the new outbox because the
            cloud held other receipts under the sequences of the previous one.
    """
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
