"""Defines the data of a finished run, in one form for every kind of scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_sim.figures.evaluation import Evaluation
from nestling_sim.fleet.live_run import DeviceRun, Fleet


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A fleet's answers with one bundle, and what the other options would have answered.

    Attributes:
        manifest: the manifest of the bundle.
        version: the version of the bundle.
        fleet: the fleet that answered, with its streams.
        runs: the counts of each device, in the scenario's order.
        receipts: one receipt for each answered input, sorted by device and input index.
        follow_ups: the receipts of follow-ups, sorted in the same way.
        every_receipt: all receipts that the cloud stored, including those from before the federated
            rounds.
        evaluation: the results of every option, in the order of `receipts`.
        routing: how the bundle routes inputs, as returned by `routing_entry`.
        learning: the summary's entry on federated rounds, or None if there were no rounds.
    """

    manifest: Manifest
    version: str
    fleet: Fleet
    runs: Sequence[DeviceRun]
    receipts: Sequence[ReceiptRow]
    follow_ups: Sequence[ReceiptRow]
    every_receipt: Sequence[ReceiptRow]
    evaluation: Evaluation
    routing: Mapping[str, Any]
    learning: Mapping[str, Any] | None = None
