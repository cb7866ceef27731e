"""Stores batches of receipts as the ingest does, and counts what a store holds."""

from typing import Any

import sqlalchemy as sa

from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.fleet_health import Losses, fleet_condition
from nestling_cloud.store import tables
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import Store


def add_batch(store: Store, device: str, batch: receipt_pb2.ReceiptBatch) -> int:
    """Store one batch of a device.

    Args:
        store: the store.
        device: id of the device.
        batch: the receipts and gaps of one outbox.

    Returns:
        The number of new receipts.
    """
    return store.add_all([Delivery(device=device, batch=batch)]).new


def settled_to(store: Store, device: str, outbox_id: str) -> int:
    """Return the largest N such that sequences 1 to N are stored or in a gap; 0 without any."""
    columns = tables.OUTBOXES.c
    return _number(
        store,
        sa.select(columns.contiguous).where(
            columns.device == device, columns.outbox_id == outbox_id
        ),
    )


def count_receipts(store: Store) -> int:
    """Return how many receipts were ever stored, including receipts deleted since."""
    return _number(store, sa.select(sa.func.sum(tables.DEVICES.c.answers)))


def count_redelivered(store: Store) -> int:
    """Return how many receipts arrived again after they were stored or recorded as lost."""
    return _number(store, sa.select(sa.func.sum(tables.OUTBOXES.c.redelivered)))


def losses(store: Store) -> Losses:
    """Return how many receipts were lost, by cause."""
    return fleet_condition(store).losses


def _number(store: Store, query: sa.Select[Any]) -> int:
    with store.reading() as connection:
        return int(connection.execute(query).scalar() or 0)
