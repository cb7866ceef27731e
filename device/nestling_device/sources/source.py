"""The interface of a source, which supplies inputs one by one."""

import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_device.errors import DeviceError

Windows = NDArray[np.float32]


class SourceError(DeviceError):
    """A source that cannot be read, or whose inputs do not fit the task."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where one input came from, so that its answer can be matched with it.

    Attributes:
        file: name of its file, "" if it comes from no file.
        window: position in that file, from 0.
        id: the producer's own name for the input, "" if it gave none.
    """

    file: str = ""
    window: int = 0
    id: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """One input of a source.

    Attributes:
        window: finite values, float32 in the task's shape.
        origin: where it came from.
    """

    window: Windows
    origin: Origin = Origin()


class Source(Protocol):
    """Supplies inputs that fit the task, one after another, to one thread.

    The caller settles or refuses each input before it takes the next one. An input that cannot be
    read is set aside and reported; it never blocks the next one.
    """

    @property
    def live(self) -> bool:
        """Whether inputs arrive at their own pace; otherwise the next one is always available."""
        ...

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next input.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            The input, or None if none came in time.

        Raises:
            SourceError: the source cannot supply any more inputs.
        """
        ...

    def settle(self, line: str) -> None:
        """Hand over the answer to the last input, once its receipt is durable.

        Args:
            line: the answer as one line of JSON.

        Raises:
            SourceError: the source cannot go on.
        """
        ...

    def refuse(self, reason: str) -> None:
        """Report to the producer that the last input has no answer.

        Args:
            reason: why it has none.

        Raises:
            SourceError: the source cannot go on.
        """
        ...

    def close(self) -> None:
        """Release files and sensors; closing twice is allowed."""
        ...


def readable_name(name: str) -> str:
    """Return a file's name as Unicode; bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Escape unprintable characters, so that a name cannot break or forge a line of output."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
