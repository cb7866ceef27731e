"""The port of sources: where inputs come from, one by one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_device.errors import DeviceError

Windows = NDArray[np.float32]


class SourceError(DeviceError):
    """A source that cannot be read, or whose inputs do not fit the task."""


class Source(Protocol):
    """Gives inputs that fit the task, one after another; for one thread.

    Every input that `take` gives is float32 in the task's shape and finite. It is settled before
    the next one is taken, or the process ends.
    """

    @property
    def live(self) -> bool:
        """Whether inputs come at their own pace; of others the next one is always there."""
        ...

    def take(self, timeout_s: float) -> Windows | None:
        """Wait for the next input.

        Returns:
            None if none came in time.

        Raises:
            SourceError: there will be none any more.
        """
        ...

    def settle(self, line: str) -> None:
        """Hear the answer to the input taken last, as one line of JSON; its receipt is durable.

        Raises:
            SourceError: the source cannot go on.
        """
        ...

    def close(self) -> None:
        """Let go of files and sensors; closing twice is no error."""
        ...


def fault_of(windows: NDArray[np.generic], shape: Sequence[int]) -> str:
    """Say why an array is not windows (N, *shape), N at least 1; empty where it is."""
    wanted = tuple(shape)
    if windows.dtype != np.float32 or windows.shape[1:] != wanted or windows.size == 0:
        sizes = ", ".join(map(str, wanted))
        return (
            f"has {windows.dtype} {windows.shape}; float32 (N, {sizes}) with N at least 1 is needed"
        )
    if not np.isfinite(windows).all():
        return "has values that are not finite; leave those windows out"
    return ""
