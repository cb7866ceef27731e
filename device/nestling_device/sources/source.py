"""Defines the interface of a source, which supplies inputs one by one.

A producer is a program that sends inputs to a source.
"""

import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_device.errors import DeviceError

Windows = NDArray[np.float32]


class SourceError(DeviceError):
    """Raised when a source cannot be read, or when its inputs do not fit the task."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The place where an input came from.

    It is included in the answer, so that the answer can be matched with the input.

    Attributes:
        file: the name of the input's file, or "" if the input comes from no file.
        window: the input's position in that file, from 0.
        id: the name that the producer gave the input, or "" if there is none.
    """

    file: str = ""
    window: int = 0
    id: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """One input of a source.

    Attributes:
        window: the values, which are finite float32 in the task's shape.
        origin: the place where the input came from.
    """

    window: Windows
    origin: Origin = Origin()


class Source(Protocol):
    """Supplies inputs that fit the task, one after another, to one thread.

    After `take` has returned an input, the caller calls `settle` or `refuse` before it calls `take`
    again. An input that cannot be read is reported and skipped, so that it does not block later
    inputs.
    """

    @property
    def live(self) -> bool:
        """Whether inputs arrive at their own pace. Otherwise the next one is always available."""
        ...

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the next input.

        Args:
            timeout_s: the longest wait, in seconds.

        Returns:
            The input, or None if none came in time.

        Raises:
            SourceError: the source cannot supply any more inputs.
        """
        ...

    def settle(self, line: str) -> None:
        """Deliver the last input's answer to the producer, and count the input as answered.

        The answer's receipt must be durable before this is called.

        Args:
            line: the answer as one line of JSON.

        Raises:
            SourceError: the source cannot continue.
        """
        ...

    def revise(self, line: str, origin: Origin) -> None:
        """Deliver a revised answer to the producer of an earlier input, if it can be matched.

        Args:
            line: the revised answer as one line of JSON.
            origin: where the input came from.
        """
        ...

    def refuse(self, reason: str) -> None:
        """Report to the producer that the last input has no answer.

        Args:
            reason: the reason why the input has no answer.

        Raises:
            SourceError: the source cannot continue.
        """
        ...

    def close(self) -> None:
        """Release files and sensors, or do nothing if the source is closed already."""
        ...


def readable_name(name: str) -> str:
    """Return a file name in which bytes that are not valid UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Escape all unprintable characters in a text, such as line breaks.

    A file name within a message can then neither split a line of output nor imitate one.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
