"""What a fleet lived through, whatever the scenario, ready to be summed up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_sim.figures.evaluation import Evaluation
from nestling_sim.fleet.live import DeviceRun, Fleet


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A fleet's answers under one bundle, and how they compare.

    Attributes:
        manifest: of that bundle.
        version: its version.
        fleet: that gave them, on its streams.
        runs: what each device counted.
        receipts: one for each input, by device and input index.
        every_receipt: all that the cloud stored; more where the fleet answered before, too.
        evaluation: every option's answers, in the order of `receipts`.
        learning: what a federated scenario adds to the summary, None for others.
    """

    manifest: Manifest
    version: str
    fleet: Fleet
    runs: Sequence[DeviceRun]
    receipts: Sequence[ReceiptRow]
    every_receipt: Sequence[ReceiptRow]
    evaluation: Evaluation
    learning: Mapping[str, Any] | None = None
