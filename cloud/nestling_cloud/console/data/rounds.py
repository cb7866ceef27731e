"""Defines the types, tables and texts for the page of federated rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestling_cloud.console.data.table import Table, table
from nestling_cloud.console.data.units import time_utc


@dataclass(frozen=True, kw_only=True)
class DroppedClient:
    """A client that was left out of a federated round.

    Attributes:
        device: the name that the client gave itself, or "?" if the name is not known.
        reason: the reason why the client was left out.
    """

    device: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundView:
    """One federated round, in which devices train the model on their own data.

    Attributes:
        run: the name of the run that the round belongs to.
        number: the number of the round in its run, from 1.
        place: the number of the round over all runs, from 1.
        ended_at_ms: the Unix time at which the round ended.
        invited: the number of clients that took part or were left out.
        used: the number of clients whose updates were valid.
        examples: the number of examples that these clients trained on.
        calibration_accuracy: the accuracy of each capacity (size of the student) after the round, 0
            to 1, smallest capacity first. It is measured on the cloud's calibration inputs, not on
            the fleet's. Empty if the round was not evaluated.
        dropped: the clients that were left out.
        averaged: whether the model changed. It does not change if too few updates can be used.
        bundle_version: the bundle that was released after the round, or "" if none was released.
        verdict: in the last round of a run, the reason why the run's model was or was not
            released; "" in other rounds.
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


def rounds_table(rounds: Sequence[RoundView]) -> Table:
    """Build a table of federated rounds, with the clients and the accuracy of each."""
    capacities = max((len(one.calibration_accuracy) for one in rounds), default=0)
    columns = [
        ("run", "run"),
        ("round", "round"),
        ("place", "round number across runs"),
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
        ("verdict", "verdict"),
    ]

    def row(one: RoundView) -> list[str | int | float | None]:
        measured = one.calibration_accuracy
        padded = [*measured, *[None] * (capacities - len(measured))]
        counts = (one.invited, one.used, len(one.dropped), one.examples)
        when = (one.ended_at_ms, time_utc(one.ended_at_ms))
        end = ("yes" if one.averaged else "no", one.bundle_version, one.verdict)
        return [one.run, one.number, one.place, *when, *counts, *padded, *end]

    return table(columns, map(row, rounds))


def dropped_table(rounds: Sequence[RoundView]) -> Table:
    """Build a table of the clients that were left out, with the reasons."""
    columns = [("run", "run"), ("round", "round"), ("device", "device"), ("reason", "reason")]
    rows = (
        (one.run, one.number, client.device, client.reason)
        for one in rounds
        for client in one.dropped
    )
    return table(columns, rows)


def last_round_summary(last: RoundView) -> str:
    """Return a sentence that says how the last round ended."""
    if not last.averaged:
        end = "the model did not change, because too few updates could be used"
    elif last.bundle_version:
        end = f"released {last.bundle_version}: {last.verdict}"
    elif last.verdict:
        end = f"released nothing: {last.verdict}"
    else:
        end = "its run has not released anything yet"
    name = f"Last round: {last.run}, round {last.number}, {time_utc(last.ended_at_ms)} UTC"
    return f"{name}, {last.used} of {last.invited} clients; {end}."


def accuracy_lines(rounds: Sequence[RoundView]) -> Mapping[int, Sequence[tuple[float, float]]]:
    """Return a mapping from each capacity to its (place, accuracy) pairs, one for each round.

    The place is the number of the round over all runs. Rounds that were not evaluated are left out.
    """
    lines: dict[int, list[tuple[float, float]]] = {}
    for one in rounds:
        for capacity, accuracy in enumerate(one.calibration_accuracy, start=1):
            lines.setdefault(capacity, []).append((one.place, accuracy))
    return lines
