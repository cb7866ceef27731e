"""The port of sources: where inputs come from, one by one."""

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
        file: name of its file, "" for inputs that come from none.
        window: position in that file, from 0.
        id: the sender's own name for the input, "" where it gave none.
    """

    file: str = ""
    window: int = 0
    id: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """One input of a source.

    Attributes:
        window: float32 in the task's shape, finite.
        origin: where it came from.
    """

    window: Windows
    origin: Origin = Origin()


class Source(Protocol):
    """Gives inputs that fit the task, one after another; for one thread.

    An input is settled or refused before the next one is taken, or the process ends. An input that
    cannot be read is set aside and reported; it never keeps back the next one.
    """

    @property
    def live(self) -> bool:
        """Whether inputs come at their own pace; of others the next one is always there."""
        ...

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next input.

        Returns:
            None if none came in time.

        Raises:
            SourceError: there will be none any more.
        """
        ...

    def settle(self, line: str) -> None:
        """Take the answer to the last input, as one line of JSON; its receipt is durable.

        Raises:
            SourceError: the source cannot go on.
        """
        ...

    def refuse(self, reason: str) -> None:
        """Take that the last input has no answer, and why; whoever it came from is told.

        Raises:
            SourceError: the source cannot go on.
        """
        ...

    def close(self) -> None:
        """Let go of files and sensors; closing twice is no error."""
        ...


def readable_name(name: str) -> str:
    """Spell a file's name in Unicode: bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Escape what does not print, so that a name cannot break or forge a line of output."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
