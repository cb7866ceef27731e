"""What the ingest can say of itself: whether devices are heard, and whether receipts are stored."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IngestStatus:
    """The way from the broker into the store, as it is now.

    Attributes:
        broker: HOST:PORT.
        connected: whether the broker is, so that devices are heard.
        store_fault: why the last commit failed, "" where it did not.
    """

    broker: str
    connected: bool
    store_fault: str = ""


ReadUplink = Callable[[], IngestStatus]
