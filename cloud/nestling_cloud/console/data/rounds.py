"""What the page of federated rounds shows, and where it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nestling_cloud.console.data.table import Table, table
from nestling_cloud.console.data.units import time_utc


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
        calibration_accuracy: of each capacity after the round, on the cloud's calibration inputs
            and not on the fleet's, 0 to 1, smallest capacity first; empty where the round was not
            evaluated.
        dropped: clients that were left out.
        averaged: whether the model changed; too few clients leave it as it was.
        bundle_version: what was released after it, "" for nothing.
        verdict: in the last round of a run, why it was released, or why not.
    """

    run: str
    number: int
    place: int
    ended_at_ms: int
    invited: int
    used: int
    examples: int
    calibration_accuracy: Sequence[float]
    dropped: Sequence[DroppedClient]
    averaged: bool
    bundle_version: str
    verdict: str


class Rounds(Protocol):
    """Tells of federated rounds."""

    def latest(self, count: int) -> Sequence[RoundView]:
        """Last rounds, the oldest of them first."""
        ...


def rounds_table(rounds: Sequence[RoundView]) -> Table:
    """Participation and accuracy by round."""
    capacities = max((len(one.calibration_accuracy) for one in rounds), default=0)
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
        *(
            (f"calibration_accuracy_{k}", f"capacity {k}, accuracy on calibration inputs")
            for k in range(1, capacities + 1)
        ),
        ("averaged", "model changed"),
        ("bundle_version", "released"),
        ("verdict", "why, or why not"),
    ]

    def row(one: RoundView) -> list[str | int | float | None]:
        told = one.calibration_accuracy
        padded = [*told, *[None] * (capacities - len(told))]
        counts = (one.invited, one.used, len(one.dropped), one.examples)
        when = (one.ended_at_ms, time_utc(one.ended_at_ms))
        end = ("yes" if one.averaged else "no", one.bundle_version, one.verdict)
        return [one.run, one.number, one.place, *when, *counts, *padded, *end]

    return table(columns, map(row, rounds))


def dropped_table(rounds: Sequence[RoundView]) -> Table:
    """Clients that were left out, and why."""
    columns = [("run", "run"), ("round", "round"), ("device", "device"), ("reason", "reason")]
    rows = (
        (one.run, one.number, left.device, left.reason) for one in rounds for left in one.dropped
    )
    return table(columns, rows)


def last_words(last: RoundView) -> str:
    """Say how the last round ended."""
    if not last.averaged:
        end = "the model stayed as it was, for too few clients counted"
    elif last.bundle_version:
        end = f"released {last.bundle_version}: {last.verdict}"
    elif last.verdict:
        end = f"released nothing: {last.verdict}"
    else:
        end = "its run has not released anything yet"
    name = f"Last: {last.run}, round {last.number}, {time_utc(last.ended_at_ms)} UTC"
    return f"{name}, {last.used} of {last.invited} clients; {end}."


def accuracy_lines(rounds: Sequence[RoundView]) -> Mapping[int, Sequence[tuple[float, float]]]:
    """(place, accuracy) pairs by capacity: rounds of several runs stand in one row."""
    lines: dict[int, list[tuple[float, float]]] = {}
    for one in rounds:
        for capacity, accuracy in enumerate(one.calibration_accuracy, start=1):
            lines.setdefault(capacity, []).append((one.place, accuracy))
    return lines
