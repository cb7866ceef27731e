"""Stores batches of receipts as the ingest does."""

from nestling.v1 import receipt_pb2
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
