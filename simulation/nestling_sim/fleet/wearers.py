"""Prepares the streams of a federated scenario, by adding drift and splitting off a training part.

Drift is how a sensor's signal differs from the training data.
"""

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
    """The inputs of one device, as its sensor records them.

    Attributes:
        drift: the drift that has been applied to the inputs.
        local: the labeled examples for local training.
        measured: the examples for measuring accuracy, which are not used for training.
    """

    drift: Drift
    local: Examples
    measured: Examples


def wearers(streams: Mapping[str, Stream], table: FederatedTable, seed: int) -> dict[str, Wearer]:
    """Apply a random drift to every device's inputs, and split them into two parts.

    One part is for local training, and the other is for measuring accuracy. Each sequence of
    consecutive inputs with the same label is split separately. One input between the parts is left
    out, because neighboring inputs overlap. Devices that share a recording split it in the same
    way, so that no device is trained on inputs that another device is measured on. In both parts,
    these devices start at different points.

    Args:
        streams: a mapping from device id to the recordings of the device.
        table: the scenario's `[federated]` table, which has the size of the drifts and the share of
            the inputs for local training.
        seed: the seed of the drifts.

    Returns:
        A mapping from device id to the inputs of the device.

    Raises:
        StreamError: a stream is too short to be split.
        DriftError: a drift cannot be applied to the inputs.
    """
    people = {}
    for number, (device, stream) in enumerate(streams.items()):
        rng = np.random.default_rng([seed, number])
        drift = draw(table.rotation_degrees, table.speed, rng)
        whole = _split(device, drifted(stream.recording, drift), drift, table.local_part)
        people[device] = replace(
            whole, local=stream.rotated(whole.local), measured=stream.rotated(whole.measured)
        )
    return people


def _split(device: str, stream: Examples, drift: Drift, local_part: float) -> Wearer:
    local: list[int] = []
    measured: list[int] = []
    for stretch in _stretches(stream):
        count = round(len(stretch) * local_part)
        local += stretch[:count]
        measured += stretch[count + 1 :]  # windows overlap, so the one between is in neither part
    if len(local) < 2 or not measured:
        raise StreamError(f"{device}: {len(stream)} inputs are too few to train on and to measure")
    return Wearer(drift=drift, local=_select(stream, local), measured=_select(stream, measured))


def _stretches(stream: Examples) -> Sequence[Sequence[int]]:
    """Return the indices of each sequence of consecutive inputs with the same label."""
    borders = np.flatnonzero(np.diff(stream.labels)) + 1
    return [part.tolist() for part in np.split(np.arange(len(stream)), borders)]


def _select(stream: Examples, rows: Sequence[int]) -> Examples:
    return stream.rows(list(rows))


def write_local(examples: Examples, path: Path) -> None:
    """Write labeled examples in the format that `nestling-device federated` reads.

    Args:
        examples: the examples, in the order of recording.
        path: the .npz file to write.
    """
    np.savez(path, windows=examples.inputs, labels=examples.labels)
