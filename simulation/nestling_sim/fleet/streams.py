"""Deals a task's test recordings to devices: whole recordings, each to one device at a time.

Where there are more devices than recordings, several devices share one, and each begins at another
point of it and goes round: no two of them are ever at the same input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling_cloud.tasks import Examples, concatenate
from nestling_sim.errors import SimError


class StreamError(SimError):
    """Too few test inputs for the fleet."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One device's recordings, and where in them it begins.

    Attributes:
        recording: inputs and labels in the order of recording.
        place: this device's among those that share the recording, from 0.
        sharing: how many devices do.
    """

    recording: Examples
    place: int = 0
    sharing: int = 1

    @property
    def examples(self) -> Examples:
        """The recording from this device's starting point on, round to that point."""
        return self.started(self.recording)

    def started(self, part: Examples) -> Examples:
        """A part of the recording from this device's starting point in it on.

        Starting points lie evenly, so that devices which share a recording are never in step.

        Raises:
            StreamError: fewer inputs than devices that share them.
        """
        if len(part) < self.sharing:
            raise StreamError(
                f"{len(part)} inputs of one recording are too few for {self.sharing} devices to "
                "begin each at another; take fewer devices, or longer recordings"
            )
        start = self.place * len(part) // self.sharing
        return Examples(
            inputs=np.roll(part.inputs, -start, axis=0), labels=np.roll(part.labels, -start)
        )


def deal(recordings: Sequence[Examples], devices: int, seed: int) -> list[Stream]:
    """Shuffle recordings and hand them out in turn, again where they do not suffice.

    Args:
        recordings: of the test subjects.
        devices: number of devices.
        seed: of the order.

    Returns:
        One stream for each device; together they hold every recording, once where there are no
        more devices than recordings.

    Raises:
        StreamError: fewer inputs than devices.
    """
    order = np.random.default_rng(seed).permutation(len(recordings)).tolist()
    if devices <= len(recordings):
        return [
            Stream(recording=concatenate([recordings[index] for index in order[device::devices]]))
            for device in range(devices)
        ]
    held = _deal_again([len(recordings[index]) for index in order], devices)
    return [
        Stream(
            recording=recordings[order[turn]],
            place=held[:device].count(turn),
            sharing=held.count(turn),
        )
        for device, turn in enumerate(held)
    ]


def _deal_again(lengths: Sequence[int], devices: int) -> list[int]:
    """Which recording each device has: in turn, none of them to more devices than it has inputs."""
    held: list[int] = []
    times = 0
    while len(held) < devices:
        roomy = [turn for turn, length in enumerate(lengths) if length > times]
        if not roomy:
            raise StreamError(
                f"{sum(lengths)} test inputs are too few for {devices} devices to begin each at "
                "another; take fewer devices, or more test data"
            )
        held += roomy[: devices - len(held)]
        times += 1
    return held
