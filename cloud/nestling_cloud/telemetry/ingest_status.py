"""Defines the status of the ingest, which stores telemetry, for the console to show."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IngestStatus:
    """The current state of the path from the broker into the store.

    Attributes:
        broker: the HOST:PORT of the broker.
        connected: whether the ingest is connected to the broker.
        store_fault: the reason why the last commit failed; "" if it succeeded.
    """

    broker: str
    connected: bool
    store_fault: str = ""


ReadUplink = Callable[[], IngestStatus]
