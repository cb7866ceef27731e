"""Reads labels and groups from the names of files, and guesses how names are made."""

import re
from collections.abc import Sequence

from nestling_cloud.datasets.errors import DatasetError

LABEL, GROUP = "label", "group"
_MOST_KINDS = 0.2  # different values of a label, as a part of the number of files


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern for the names of files.

    Args:
        pattern: a regular expression with a part `(?P<label>...)`, `(?P<group>...)`, or both.

    Raises:
        DatasetError: it is not a regular expression, or has neither part.
    """
    try:
        found = re.compile(pattern)
    except re.error as err:
        raise DatasetError(f"pattern {pattern!r} is not a regular expression: {err}") from err
    if not {LABEL, GROUP} & set(found.groupindex):
        raise DatasetError(
            f"pattern {pattern!r} names neither a label nor a group; write for example "
            r"'(?P<label>\d)_(?P<group>[a-z]+)_'"
        )
    return found


def guessed(names: Sequence[str]) -> str:
    """Return a pattern that may tell the labels of some files, or "" if none is likely.

    Args:
        names: the names of the files, which are separated into parts at underscores and dashes.
    """
    stems = [name.rpartition("/")[2].rpartition(".")[0] for name in names]
    for mark in "_-":
        rows = [stem.split(mark) for stem in stems]
        width = len(rows[0])
        if width < 2 or any(len(row) != width for row in rows):
            continue
        kinds = [len({row[index] for row in rows}) for index in range(width)]
        likely = [i for i, count in enumerate(kinds) if 2 <= count <= _MOST_KINDS * len(rows)]
        if likely:
            return _pattern(mark, width, likely)
    return ""


def _pattern(mark: str, width: int, likely: Sequence[int]) -> str:
    """Return the pattern whose first likely part is the label, and the next one the group."""
    named = {
        index: f"(?P<{name}>[^{mark}]+)"
        for index, name in zip(likely, (LABEL, GROUP), strict=False)
    }
    last = max(named)
    parts = [named.get(index, f"[^{mark}]+") for index in range(last + 1)]
    end = mark if last + 1 < width else ""
    return mark.join(parts) + end
