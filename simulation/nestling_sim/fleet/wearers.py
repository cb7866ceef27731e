"""What the devices of a federated scenario live through: their drift, and their labelled part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nestling_cloud.tasks import Examples
from nestling_sim.fleet.streams import Stream, StreamError
from nestling_sim.scenario.drift import Drift, draw, drifted
from nestling_sim.scenario.scenario import FederatedTable


@dataclass(frozen=True, kw_only=True)
class Wearer:
    """One device's inputs as its sensor sees them.

    Attributes:
        drift: what its sensor does to them.
        local: labelled, to learn from.
        measured: the rest, which nothing learns from.
    """

    drift: Drift
    local: Examples
    measured: Examples


def wearers(streams: Mapping[str, Stream], table: FederatedTable, seed: int) -> dict[str, Wearer]:
    """Give every device its drift, and part each of its recordings in two.

    Devices that share a recording part it alike and begin elsewhere in both parts: what one is
    measured on, no other learns from.

    Args:
        streams: each device's recordings, one after another.
        table: how far sensors drift, and which part has labels.
        seed: of the drifts.

    Raises:
        StreamError: a stream too short to be parted.
    """
    made = {}
    for number, (device, stream) in enumerate(streams.items()):
        rng = np.random.default_rng([seed, number])
        drift = draw(table.rotation_degrees, table.speed, rng)
        whole = _part(device, drifted(stream.recording, drift), drift, table.local_part)
        made[device] = replace(
            whole, local=stream.started(whole.local), measured=stream.started(whole.measured)
        )
    return made


def _part(device: str, stream: Examples, drift: Drift, local_part: float) -> Wearer:
    local: list[int] = []
    measured: list[int] = []
    for stretch in _stretches(stream):
        count = round(len(stretch) * local_part)
        local += stretch[:count]
        measured += stretch[count + 1 :]  # windows overlap: the one between is in neither part
    if len(local) < 2 or not measured:
        raise StreamError(f"{device}: {len(stream)} inputs are too few to learn and to measure")
    return Wearer(drift=drift, local=_chosen(stream, local), measured=_chosen(stream, measured))


def _stretches(stream: Examples) -> Sequence[Sequence[int]]:
    """Positions of inputs of one label that follow each other."""
    borders = np.flatnonzero(np.diff(stream.labels)) + 1
    return [part.tolist() for part in np.split(np.arange(len(stream)), borders)]


def _chosen(stream: Examples, rows: Sequence[int]) -> Examples:
    return Examples(inputs=stream.inputs[list(rows)], labels=stream.labels[list(rows)])


def write_local(examples: Examples, path: Path) -> None:
    """Write labelled examples as `nestling-device federated` reads them."""
    np.savez(path, windows=examples.inputs, labels=examples.labels)
