"""Defines a batch of receipts that a device delivers, and checks its outbox ids."""

from dataclasses import dataclass

from nestling.v1 import receipt_pb2
from nestling_cloud.store.outboxes import Key
from nestling_cloud.store.receipt_validation import ReceiptError

_LONGEST_OUTBOX_ID = 64


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A batch of receipts and the device that sent it.

    Attributes:
        device: the id of the device.
        batch: the receipts, the gaps (ranges of sequences whose receipts will never be stored) and
            the outbox ids.

    Raises:
        ReceiptError: the batch's outbox id is empty, or one of its two outbox ids has more than 64
            characters or contains a NUL.
    """

    device: str
    batch: receipt_pb2.ReceiptBatch

    def __post_init__(self) -> None:
        _check_outbox_id(self.batch.outbox_id)
        if self.batch.previous_outbox_id:
            _check_outbox_id(self.batch.previous_outbox_id)

    @property
    def key(self) -> Key:
        """The outbox as a pair of the device's id and the outbox's id."""
        return self.device, self.batch.outbox_id


def _check_outbox_id(outbox_id: str) -> None:
    if not 1 <= len(outbox_id) <= _LONGEST_OUTBOX_ID or "\0" in outbox_id:
        raise ReceiptError(
            f"outbox id of {len(outbox_id)} characters; it needs 1 to 64, and no NUL"
        )
