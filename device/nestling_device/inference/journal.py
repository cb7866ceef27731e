"""Defines where an agent keeps its receipts, its state and the inputs to ask the cloud about."""

from collections.abc import Sequence
from typing import Protocol

from nestling.v1.receipt_pb2 import Receipt
from nestling.v1.stream_pb2 import PendingInput, StreamState
from nestling_device.telemetry.pending_inputs import Pending

MOST_PENDING = 1000
"""The largest number of inputs that wait for the cloud. If there are more, the oldest expire."""


class Journal(Protocol):
    """Stores what an agent must not lose. `Outbox` implements it."""

    def append(
        self,
        *receipts: Receipt,
        stream_state: StreamState | None = None,
        added: Sequence[PendingInput] = (),
        removed: Sequence[int] = (),
    ) -> object:
        """Store receipts and what belongs to them, durably and together.

        Args:
            receipts: the receipts.
            stream_state: the state of the stream after them.
            added: inputs that the cloud is still to be asked about.
            removed: the numbers of inputs that the cloud need not be asked about any more.

        Raises:
            StorageError: nothing could be stored.
        """
        ...

    def pending(self, limit: int) -> list[Pending]:
        """Return the oldest inputs that the cloud is still to be asked about.

        Args:
            limit: the largest number of inputs to return.
        """
        ...

    def pending_count(self) -> int:
        """Return the number of inputs that the cloud is still to be asked about."""
        ...
