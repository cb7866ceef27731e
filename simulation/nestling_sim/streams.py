"""Deals a task's test recordings to devices: whole recordings, each to one device."""

from collections.abc import Sequence

import numpy as np

from nestling_cloud.tasks import Examples, concatenate
from nestling_sim.errors import SimError


class StreamError(SimError):
    """Too few recordings for the fleet."""


def deal(recordings: Sequence[Examples], devices: int, seed: int) -> list[Examples]:
    """Shuffle recordings and hand them out in turn.

    Args:
        recordings: of the test subjects.
        devices: number of devices.
        seed: of the order.

    Returns:
        One stream for each device; together they hold every recording once.

    Raises:
        StreamError: fewer recordings than devices.
    """
    if len(recordings) < devices:
        raise StreamError(
            f"{len(recordings)} test recordings are too few for {devices} devices; "
            "take fewer devices, or cut the task's test data into more recordings"
        )
    order = np.random.default_rng(seed).permutation(len(recordings))
    return [
        concatenate([recordings[index] for index in order[device::devices]])
        for device in range(devices)
    ]
