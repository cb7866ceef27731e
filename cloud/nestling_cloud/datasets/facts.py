"""Describes what was found in one file of a folder with data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.datasets.listing import FileEntry

Media = Literal["picture", "sound", "array"]
"""What files hold: pictures, sounds, or recordings of sensors that are cut into windows."""

MOST_VALUES = 50
"""The most different values of a column that are remembered."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a recording.

    Attributes:
        name: the name in the header, or "channel 1" and so on.
        is_number: whether all values that are not missing are numbers.
        is_time: whether it holds times or the numbers of the rows.
        step_s: the median difference between two times in seconds, or 0 if unknown.
        values: the different values as text in order, if there are at most `MOST_VALUES`.
        is_constant: whether all values are equal.
        missing: the number of values that are missing or not finite.
        low: the smallest number.
        high: the largest number.
    """

    name: str
    is_number: bool
    is_time: bool = False
    step_s: float = 0.0
    values: Sequence[str] = ()
    is_constant: bool = False
    missing: int = 0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found in a file.

    Attributes:
        sha256: the digest of the file's content, in hexadecimal.
        fault: why the file cannot be used, as the end of a sentence about it, or "".
        shape: (height, width) of a picture, (channels, samples) of a sound, (rows, columns) of a
            recording.
        rate_hz: the samples in a second of a sound.
        mode: the kind of a picture's pixels, such as "RGB".
        is_flat: whether all pixels, samples or values are equal, or nearly so.
        is_rotated: whether a picture asks to be rotated.
        columns: the columns of a recording.
    """

    sha256: str
    fault: str = ""
    shape: Sequence[int] = ()
    rate_hz: int = 0
    mode: str = ""
    is_flat: bool = False
    is_rotated: bool = False
    columns: Sequence[Column] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file and what was found in it."""

    file: FileEntry
    facts: Facts
