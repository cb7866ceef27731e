"""Defines the data that a report is based on, and counts each device's receipts."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from math import nan
from operator import attrgetter
from typing import Any

from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.tally import FALLBACKS

CLOUD = "cloud"

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One input of a timeline.

    Attributes:
        receipt: the receipt of the input.
        truth: the true answer, as a text.
        answer: the answer that was given, as a text.
        is_right: whether the answer that was given is right.
    """

    receipt: ReceiptRow
    truth: str
    answer: str
    is_right: bool

    @property
    def confidence(self) -> float:
        """The estimated probability that the device's own answer, before the cloud's, was right.

        The value is NaN if no capacity ran.
        """
        known = self.receipt.device_answer is not None
        return self.receipt.device_confidence if known else nan


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Inputs of one device, one after another.

    Attributes:
        device: the device's id.
        moments: the inputs, in order.
    """

    device: str
    moments: Sequence[Moment]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The data of one run.

    Attributes:
        summary: the content of summary.json.
        receipts: one receipt for each answered input, in any order, without those of follow-ups.
        curves: a mapping from the name of a router to its points (offload share, accuracy), both
            from 0 to 1. The entries "device-only" and "cloud-only" have one point each.
        outages: a mapping from device id to the ranges of input indices at which the device was cut
            off.
        timeline: the inputs of one device, or None if the cloud answered no input.
    """

    summary: Mapping[str, Any]
    receipts: Sequence[ReceiptRow]
    curves: Mapping[str, Curve]
    outages: Mapping[str, Sequence[range]] = field(default_factory=dict)
    timeline: Timeline | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceTally:
    """One device's receipts, and counts of them.

    Attributes:
        device: the device's id.
        rows: the device's receipts, sorted by input index.
        routes: a mapping from route to the number of inputs that took it.
        fallbacks: the number of inputs that the device answered because the cloud did not.
        switches: the number of times that the resident capacity changed between consecutive
            receipts.
        cut_off: the number of answered inputs during outages.
    """

    device: str
    rows: Sequence[ReceiptRow]
    routes: Counter[str]
    fallbacks: int
    switches: int
    cut_off: int


def tally(evidence: Evidence) -> list[DeviceTally]:
    """Return the receipts and counts of each device, in natural order of the device ids.

    In natural order, 2 comes before 10.
    """
    ordered = sorted(evidence.receipts, key=lambda row: (_natural(row.device), row.input_index))
    return [
        _tally_device(device, list(rows), evidence.outages.get(device, ()))
        for device, rows in groupby(ordered, key=attrgetter("device"))
    ]


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Return names in natural order, in which 2 comes before 10."""
    return sorted(names, key=_natural)


def answering_capacity(row: ReceiptRow) -> int:
    """Return the number of the capacity that answered an input, or 0 if the cloud answered it."""
    return 0 if row.route == CLOUD else int(row.route.removeprefix("capacity-"))


def is_fallback(row: ReceiptRow) -> bool:
    """Return whether the device's own answer was used because the offload failed."""
    return row.reason in FALLBACKS


def routes_in_order(tallies: Sequence[DeviceTally], capacities: int) -> list[str]:
    """Return the names of all routes, from the student's smallest capacity to the cloud.

    Routes that no input took are included. Routes of unknown capacities come before the cloud.

    Args:
        tallies: the counts of every device.
        capacities: the number of capacities of the student.
    """
    known = [f"capacity-{k}" for k in range(1, capacities + 1)]
    others = {route for one in tallies for route in one.routes} - {*known, CLOUD}
    return [*known, *sorted(others), CLOUD]


def _natural(name: str) -> list[str | int]:
    parts = re.split(r"(\d+)", name)  # digits are at odd indices
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def _tally_device(device: str, rows: list[ReceiptRow], outages: Sequence[range]) -> DeviceTally:
    return DeviceTally(
        device=device,
        rows=rows,
        routes=Counter(row.route for row in rows),
        fallbacks=sum(map(is_fallback, rows)),
        switches=sum(a.resident_capacity != b.resident_capacity for a, b in pairwise(rows)),
        cut_off=sum(any(row.input_index in span for span in outages) for row in rows),
    )
