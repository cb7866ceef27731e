"""Distributes a task's test recordings among the devices of a fleet.

Recordings are never divided. If there are more devices than recordings, several devices share a
recording: each of these devices starts at a different point and wraps around, so that their n-th
inputs are always different.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nestling_cloud.tasks import Examples, concatenate
from nestling_sim.errors import SimError


class StreamError(SimError):
    """Raised when there are too few test inputs for the fleet, or for splitting a stream.

    Only federated scenarios split streams, into a part for training and a part for measuring.
    """


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The recordings of one device, with the device's starting point in them.

    Attributes:
        recording: the inputs and labels in the order of recording.
        place: the number of this device among those that share the recording, from 0.
        sharing: the number of devices that share the recording, including this one.
    """

    recording: Examples
    place: int = 0
    sharing: int = 1

    @property
    def examples(self) -> Examples:
        """The recording, shifted cyclically so that it begins at this device's starting point."""
        return self.rotated(self.recording)

    def rotated(self, part: Examples) -> Examples:
        """Return a part of the recording, shifted to begin at this device's starting point.

        The shift is cyclic. The starting points are evenly spaced over the part.

        Args:
            part: the part of the recording.

        Raises:
            StreamError: the part has fewer inputs than there are devices that share it.
        """
        if len(part) < self.sharing:
            raise StreamError(
                f"{len(part)} inputs of one recording are too few for {self.sharing} devices to "
                "start at different ones; use fewer devices, or longer recordings"
            )
        start = self.place * len(part) // self.sharing
        return Examples(
            inputs=np.roll(part.inputs, -start, axis=0), labels=np.roll(part.labels, -start, axis=0)
        )


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The parts of a task's data that a run uses after the training.

    Attributes:
        streams: a mapping from device id to the recordings of the device.
        calibration: the inputs that the routing was calibrated on.
    """

    streams: Mapping[str, Stream]
    calibration: Examples


def deal(recordings: Sequence[Examples], devices: int, seed: int) -> list[Stream]:
    """Assign recordings to devices in a random order, and return a stream for each device.

    If there are at least as many recordings as devices, each device gets one or more recordings.
    Otherwise each device gets one, which it may share with other devices.

    Args:
        recordings: the recordings of the test subjects.
        devices: the number of devices.
        seed: the seed of the random order.

    Returns:
        One stream for each device. If there are at least as many recordings as devices, each
        recording is in exactly one stream. Otherwise it is in at least one.

    Raises:
        StreamError: there are fewer inputs than devices.
    """
    order = np.random.default_rng(seed).permutation(len(recordings)).tolist()
    if devices <= len(recordings):
        return [
            Stream(recording=concatenate([recordings[index] for index in order[device::devices]]))
            for device in range(devices)
        ]
    assigned = _share([len(recordings[index]) for index in order], devices)
    return [
        Stream(
            recording=recordings[order[turn]],
            place=assigned[:device].count(turn),
            sharing=assigned.count(turn),
        )
        for device, turn in enumerate(assigned)
    ]


def _share(lengths: Sequence[int], devices: int) -> list[int]:
    """Return, for each device, the index of its recording in `lengths`.

    No recording is shared by more devices than it has inputs. Raise StreamError if that is
    impossible.

    Args:
        lengths: the number of inputs in each recording.
        devices: the number of devices.
    """
    assigned: list[int] = []
    times = 0
    while len(assigned) < devices:
        roomy = [turn for turn, length in enumerate(lengths) if length > times]
        if not roomy:
            raise StreamError(
                f"{sum(lengths)} test inputs are too few for {devices} devices to start at "
                "different ones; use fewer devices, or more test data"
            )
        assigned += roomy[: devices - len(assigned)]
        times += 1
    return assigned
