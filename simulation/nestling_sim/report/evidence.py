"""What a report is made of, and what it counts in the receipts."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.tally import FALLBACKS

CLOUD = "cloud"

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One run, ready to be shown.

    Attributes:
        summary: as in summary.json.
        receipts: every stored receipt, in any order.
        curves: by router, (offload share, accuracy) points in [0, 1]; "device-only" and
            "cloud-only" have one point each.
        outages: by device, the input indices at which it was cut off.
    """

    summary: Mapping[str, Any]
    receipts: Sequence[ReceiptRow]
    curves: Mapping[str, Curve]
    outages: Mapping[str, Sequence[range]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DeviceTally:
    """One device's receipts, in order of its inputs, counted.

    Attributes:
        device: its id.
        rows: its receipts by input index.
        routes: number of inputs by route.
        fallbacks: inputs answered by the device because the cloud did not.
        switches: how often the resident capacity changed.
        cut_off: inputs that came during an outage.
    """

    device: str
    rows: Sequence[ReceiptRow]
    routes: Counter[str]
    fallbacks: int
    switches: int
    cut_off: int


def tally(evidence: Evidence) -> list[DeviceTally]:
    """Count the receipts device by device, in order of their names: 2 comes before 10."""
    ordered = sorted(evidence.receipts, key=lambda row: (_spoken(row.device), row.input_index))
    return [
        _tally_device(device, list(rows), evidence.outages.get(device, ()))
        for device, rows in groupby(ordered, key=attrgetter("device"))
    ]


def in_spoken_order(names: Iterable[str]) -> list[str]:
    """Sort names as people count: 2 comes before 10."""
    return sorted(names, key=_spoken)


def answering_capacity(row: ReceiptRow) -> int:
    """Capacity that answered an input, 0 for the cloud, as in a Route message."""
    return 0 if row.route == CLOUD else int(row.route.removeprefix("capacity-"))


def is_fallback(row: ReceiptRow) -> bool:
    """Whether the cloud was asked and the device had to answer."""
    return row.reason in FALLBACKS


def routes_in_order(tallies: Sequence[DeviceTally], capacities: int) -> list[str]:
    """Every route of the nest, smallest capacity first, and the cloud last."""
    held = [f"capacity-{k}" for k in range(1, capacities + 1)]
    found = {route for one in tallies for route in one.routes} - {*held, CLOUD}
    return [*held, *sorted(found), CLOUD]


def _spoken(name: str) -> list[str | int]:
    parts = re.split(r"(\d+)", name)  # digits stand at the odd places
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _tally_device(device: str, rows: list[ReceiptRow], outages: Sequence[range]) -> DeviceTally:
    return DeviceTally(
        device=device,
        rows=rows,
        routes=Counter(row.route for row in rows),
        fallbacks=sum(map(is_fallback, rows)),
        switches=sum(a.resident_capacity != b.resident_capacity for a, b in pairwise(rows)),
        cut_off=sum(any(row.input_index in span for span in outages) for row in rows),
    )
