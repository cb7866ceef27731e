"""The finished run of a fleet, for every kind of scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_sim.figures.evaluation import Evaluation
from nestling_sim.fleet.live import DeviceRun, Fleet


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A fleet's answers under one bundle, with the results of the other options.

    Attributes:
        manifest: manifest of the bundle.
        version: version of the bundle.
        fleet: the fleet that answered, with its streams.
        runs: counts of each device.
        receipts: one receipt for each input, sorted by device and input index.
        every_receipt: all receipts that the cloud stored, including those of an earlier phase.
        evaluation: results of every option, in the order of `receipts`.
        learning: the summary's entry on federated rounds, None without them.
    """

    manifest: Manifest
    version: str
    fleet: Fleet
    runs: Sequence[DeviceRun]
    receipts: Sequence[ReceiptRow]
    every_receipt: Sequence[ReceiptRow]
    evaluation: Evaluation
    learning: Mapping[str, Any] | None = None
