"""Gives every file of a folder its labels, its group, and its part of the data."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.label_table import LabelRow, LabelTable
from nestling_cloud.datasets.name_patterns import GROUP, LABEL, compiled

LabelPlace = Literal["folder", "name", "table", "column"]
"""Where the label of a file is: its folder, its name, a table, or a column of the recording."""

GroupPlace = Literal["none", "folder", "name", "table", "file"]
"""Where the group of a file is: nowhere, the folders between class and file, its name, a table, or
every file is a group."""

Part = Literal["train", "calibration", "test"]

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "calibration",
    "valid": "calibration",
    "validation": "calibration",
    "dev": "calibration",
    "calibration": "calibration",
    "test": "test",
    "testing": "test",
}
"""The names, in lower case, of folders that hold a part of the data."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where labels and groups are.

    Attributes:
        labels: where the labels are.
        groups: where the groups are.
        pattern: the pattern for names, if one of the two is "name".
    """

    labels: LabelPlace
    groups: GroupPlace = "none"
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file with what is known about it before it is decoded.

    Attributes:
        name: the path below the folder.
        labels: the labels, or the values that a regression estimates; empty if they are in a column
            of the recording, or if a file with several possible labels has none.
        group: the group, which is not divided between parts of the data, or "".
        part: the part of the data if the data is divided already, or None.
    """

    name: str
    labels: Sequence[str]
    group: str = ""
    part: Part | None = None


class Sorted(NamedTuple):
    """The files that can be used, and for each other file, by name, why it was set aside."""

    items: Sequence[Item]
    set_aside: Mapping[str, str]


def is_divided(names: Sequence[str]) -> bool:
    """Return whether files lie in folders that are parts of the data, such as train and test."""
    tops = {name.partition("/")[0].lower() for name in names if "/" in name}
    parts = {PARTS.get(top) for top in tops}
    flat = any("/" not in name for name in names)
    return not flat and None not in parts and {"train", "test"} <= parts


def items_of(names: Sequence[str], places: Places, table: LabelTable | None) -> Sorted:
    """Give every file its labels, its group and its part.

    Args:
        names: the paths of the files below the folder.
        places: where labels and groups are.
        table: the table of labels, if there is one.

    Raises:
        DatasetError: the places do not go together, or no file has what they name.
    """
    divided = is_divided(names)
    pattern = compiled(places.pattern) if "name" in {places.labels, places.groups} else None
    if "table" in {places.labels, places.groups} and table is None:
        raise DatasetError("labels or groups are in a table, but no table is named")
    items, set_aside = list[Item](), dict[str, str]()
    for name in names:
        known = _Known(
            inside=name.partition("/")[2] if divided else name,
            row=table.row_of(name) if table is not None else None,
            match=None if pattern is None else pattern.search(name),
        )
        try:
            labels, group = _LABELS[places.labels](known), _group(places, known)
        except _MissingError as err:
            set_aside[name] = str(err)
            continue
        named = known.row.part if known.row is not None else name.partition("/")[0] * divided
        items.append(Item(name=name, labels=labels, group=group, part=PARTS.get(named.lower())))
    if not items:
        name, reason = next(iter(set_aside.items()))
        raise DatasetError(f"no file can be used: {name} {reason}")
    return Sorted(items, set_aside)


class _MissingError(Exception):
    """Raised when a file has no label or no group; it never leaves this module."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known of a file: its path below its part, its row in the table, its matched name."""

    inside: str
    row: LabelRow | None
    match: re.Match[str] | None


def _group(places: Places, known: _Known) -> str:
    folders = known.inside.split("/")[:-1]
    match places.groups:
        case "folder":
            return "/".join(folders[1:] if places.labels == "folder" else folders)
        case "name":
            return _matched(known, GROUP)
        case "table":
            return _row(known).group
        case "file":
            return known.inside
        case _:
            return ""


def _folder(known: _Known) -> Sequence[str]:
    label, slash, _ = known.inside.partition("/")
    if not slash:
        raise _MissingError("is in no class folder")
    return (label,)


def _matched(known: _Known, name: str) -> str:
    if known.match is None:
        raise _MissingError("does not match the pattern")
    found = known.match.groupdict().get(name)
    if not found:
        raise _MissingError(f"has no {name} by the pattern")
    return found


def _row(known: _Known) -> LabelRow:
    if known.row is None:
        raise _MissingError("is not in the table of labels")
    return known.row


def _labeled(known: _Known) -> Sequence[str]:
    row = _row(known)
    if not row.labels and not row.may_lack_labels:
        raise _MissingError("has no label in the table")
    return row.labels


_LABELS: dict[LabelPlace, Callable[[_Known], Sequence[str]]] = {
    "folder": _folder,
    "name": lambda known: (_matched(known, LABEL),),
    "table": _labeled,
    "column": lambda _: (),
}
