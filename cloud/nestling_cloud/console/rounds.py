"""What the page of federated rounds shows, and where it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nestling_cloud.console.table import Table, table
from nestling_cloud.console.units import time_utc


@dataclass(frozen=True, kw_only=True)
class DroppedClient:
    """A client whose update was not used, and why."""

    device: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundView:
    """One federated round.

    Attributes:
        run: that it belongs to.
        number: within its run, from 1.
        place: among the rounds of all runs, from 1.
        ended_at_ms: Unix time.
        invited: clients that were asked.
        used: clients whose updates went into the mean.
        examples: training examples behind them.
        accuracy: of each capacity after the round, 0 to 1, smallest capacity first; empty where
            the round was not evaluated.
        dropped: clients that were left out.
        bundle_version: what was released after it, "" for nothing.
    """

    run: str
    number: int
    place: int
    ended_at_ms: int
    invited: int
    used: int
    examples: int
    accuracy: Sequence[float]
    dropped: Sequence[DroppedClient]
    bundle_version: str


class Rounds(Protocol):
    """Tells of federated rounds."""

    def latest(self, count: int) -> Sequence[RoundView]:
        """Last rounds, the oldest of them first."""
        ...


def rounds_table(rounds: Sequence[RoundView]) -> Table:
    """Participation and accuracy by round."""
    capacities = max((len(one.accuracy) for one in rounds), default=0)
    columns = [
        ("run", "run"),
        ("round", "round"),
        ("place", "of all runs"),
        ("ended_at_ms", ""),
        ("ended_utc", "ended, UTC"),
        ("invited", "invited"),
        ("used", "used"),
        ("dropped", "dropped"),
        ("examples", "examples"),
        *((f"accuracy_{k}", f"capacity {k}, accuracy") for k in range(1, capacities + 1)),
        ("bundle_version", "released"),
    ]

    def row(one: RoundView) -> list[str | int | float | None]:
        padded = [*one.accuracy, *[None] * (capacities - len(one.accuracy))]
        counts = (one.invited, one.used, len(one.dropped), one.examples)
        when = (one.ended_at_ms, time_utc(one.ended_at_ms))
        return [one.run, one.number, one.place, *when, *counts, *padded, one.bundle_version]

    return table(columns, map(row, rounds))


def dropped_table(rounds: Sequence[RoundView]) -> Table:
    """Clients that were left out, and why."""
    columns = [("run", "run"), ("round", "round"), ("device", "device"), ("reason", "reason")]
    rows = (
        (one.run, one.number, left.device, left.reason) for one in rounds for left in one.dropped
    )
    return table(columns, rows)


def accuracy_lines(rounds: Sequence[RoundView]) -> Mapping[int, Sequence[tuple[float, float]]]:
    """(place, accuracy) pairs by capacity: rounds of several runs stand in one row."""
    lines: dict[int, list[tuple[float, float]]] = {}
    for one in rounds:
        for capacity, accuracy in enumerate(one.accuracy, start=1):
            lines.setdefault(capacity, []).append((one.place, accuracy))
    return lines
