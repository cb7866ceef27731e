"""Decides from a look at a folder what a task of it would be."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.facts import Facts
from nestling_cloud.datasets.items import GroupPlace, Item, LabelPlace, Places, is_divided
from nestling_cloud.datasets.label_kinds import Kind, LabelKind, kind_of
from nestling_cloud.datasets.label_table import LabelTable
from nestling_cloud.datasets.look import Look
from nestling_cloud.datasets.name_patterns import GROUP, LABEL, compiled, guessed
from nestling_cloud.datasets.split import plan_split
from nestling_cloud.datasets.survey import Plan, Usable, usable_files
from nestling_cloud.datasets.window_proposal import Channels, propose_windows

_T = TypeVar("_T")

_SMALL, _SCALED = 96, 64  # pixels
_GRAY_MODES = {"L", "1", "I;16", "I", "LA"}
_LONGEST_S = 1.0
_USUAL_DURATIONS = 0.95


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a user says about a folder. What is None or empty is decided from the folder.

    Attributes:
        table: the table of labels.
        pattern: the pattern for the names of files.
        column: the column of the recordings that holds labels.
        targets: the columns of the recordings that a regression estimates.
        kind: the kind of the task.
        groups: where the groups are.
        size: (height, width) of the pictures.
        rate_hz: the rate of the sounds.
        seconds: the duration of an input of sound.
        length: the rows in a window.
        hop: the rows from a window to the next one.
        seed: the random seed for choosing calibration and test groups.
    """

    table: LabelTable | None = None
    pattern: str = ""
    column: str = ""
    targets: Sequence[str] = ()
    kind: Kind | None = None
    groups: GroupPlace | None = None
    size: tuple[int, int] | None = None
    rate_hz: int = 0
    seconds: float = 0.0
    length: int = 0
    hop: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a task of a folder would be.

    Attributes:
        plan: where its labels are, and how it is divided.
        size: (channels, height, width) of pictures.
        dropped: the columns of recordings that are not used, with the reasons.
        tolerances: for every value that a regression estimates, an error that may count as right.
    """

    plan: Plan
    size: tuple[int, int, int] = (0, 0, 0)
    dropped: Sequence[tuple[str, str]] = ()
    tolerances: Sequence[float] = ()


def propose(look: Look, wishes: Wishes) -> Proposal:
    """Decide what a task of a folder would be.

    Args:
        look: what the folder holds.
        wishes: what the user says about it.

    Raises:
        DatasetError: the labels are not found, or do not fit what the user says.
    """
    readable = [found.facts for found in look.files if not found.facts.fault]
    if not readable:
        first = look.files[0]
        raise DatasetError(
            f"no file in {look.folder} can be used: {first.file.name} {first.facts.fault}"
        )
    found = Channels()
    if look.media == "array":
        found = propose_windows(
            look, column=wishes.column, targets=wishes.targets, length=wishes.length, hop=wishes.hop
        )
    places = _places(look, wishes, found)
    rate_hz = wishes.rate_hz or _most_common([facts.rate_hz for facts in readable])
    usable = usable_files(look, places, wishes.table, found.windows, 0)
    kind = _kind(usable.items, places, wishes, found)
    windows = found.windows
    if windows is not None and kind.kind == "regression" and places.labels == "column":
        windows = replace(windows, label="", targets=kind.values)
    if rate_hz:
        usable = usable_files(look, places, wishes.table, windows, rate_hz)
    plan = Plan(
        places=places,
        kind=kind,
        split=plan_split(usable.items, usable.weights, seed=wishes.seed),
        rate_hz=rate_hz,
        length=round(rate_hz * (wishes.seconds or _seconds(readable))) if rate_hz else 0,
        windows=windows,
    )
    size = _size(readable, wishes.size) if look.media == "picture" else (0, 0, 0)
    return Proposal(
        plan=plan,
        size=size,
        dropped=found.dropped,
        tolerances=[_tolerance(index, plan, usable) for index in range(len(kind.values))],
    )


def _places(look: Look, wishes: Wishes, found: Channels) -> Places:
    names = [file.file.name for file in look.files]
    parts = compiled(wishes.pattern).groupindex if wishes.pattern else {}
    inside = [name.partition("/")[2] for name in names] if is_divided(names) else names
    folders = {name.partition("/")[0] for name in inside if "/" in name}
    labels: LabelPlace | None = _first(
        ("table", wishes.table is not None),
        ("name", LABEL in parts),
        ("column", found.has_labels),
        ("folder", len(folders) > 1),
    )
    if labels is None:
        raise DatasetError(_no_labels(look, names))
    depth = 2 if labels == "folder" else 1
    groups: GroupPlace = (
        wishes.groups
        or _first(
            ("name", GROUP in parts),
            ("table", wishes.table is not None and wishes.table.has_groups),
            ("file", look.media == "array"),
            ("folder", all(name.count("/") >= depth for name in inside)),
        )
        or "none"
    )
    if groups == "name" and GROUP not in parts:
        raise DatasetError("groups by name need a pattern with (?P<group>...)")
    return Places(labels=labels, groups=groups, pattern=wishes.pattern)


def _tolerance(index: int, plan: Plan, usable: Usable) -> float:
    """Return a twentieth of the range of a value that is estimated, with one digit."""
    if plan.places.labels == "column":
        name = plan.kind.values[index]
        columns = [c for found in usable.files for c in found.facts.columns if c.name == name]
        span = max(c.high for c in columns) - min(c.low for c in columns)
    else:
        values = [float(item.labels[index]) for item in usable.items]
        span = max(values) - min(values)
    return float(f"{span / 20 or 1.0:.0e}")


def _first(*choices: tuple[_T, bool]) -> _T | None:
    return next((choice for choice, applies in choices if applies), None)


def _no_labels(look: Look, names: Sequence[str]) -> str:
    hint = guessed(names)
    tried = f"; the names suggest --pattern '{hint}'" if hint else ""
    column = ", a column with --label-column or --target" if look.media == "array" else ""
    return (
        f"{look.folder} has no folders that could be classes. Put the files of each class into a "
        f"folder, or name a table with --labels, a pattern with --pattern{column}{tried}"
    )


def _kind(items: Sequence[Item], places: Places, wishes: Wishes, found: Channels) -> LabelKind:
    if places.labels == "column":
        if wishes.targets:
            return LabelKind(kind="regression", values=tuple(wishes.targets))
        return kind_of(
            [(value,) for value in found.values],
            columns=(found.label,),
            wanted=wishes.kind,
        )
    table = wishes.table if places.labels == "table" else None
    return kind_of(
        [item.labels for item in items],
        columns=table.columns if table is not None else (),
        is_multiple=table is not None and table.is_multiple,
        wanted=wishes.kind,
    )


def _most_common(values: Sequence[int]) -> int:
    return Counter(values).most_common(1)[0][0]


def _seconds(facts: Sequence[Facts]) -> float:
    """Return a duration that most sounds do not exceed, at most one second."""
    durations = [one.shape[1] / one.rate_hz for one in facts if one.rate_hz]
    usual = math.ceil(10 * float(np.quantile(durations, _USUAL_DURATIONS))) / 10
    return min(usual, _LONGEST_S)


def _size(facts: Sequence[Facts], wanted: tuple[int, int] | None) -> tuple[int, int, int]:
    """Return (channels, height, width): small pictures keep their size, others are scaled."""
    channels = 1 if all(one.mode in _GRAY_MODES for one in facts) else 3
    if wanted is not None:
        return (channels, *wanted)
    sizes = Counter(tuple(one.shape) for one in facts)
    height, width = sizes.most_common(1)[0][0]
    if max(height, width) <= _SMALL:
        return channels, height, width
    proportions = {round(w / h, 1) for h, w in sizes}
    if len(proportions) > 1:
        return channels, _SCALED, _SCALED
    scale = _SCALED / min(height, width)
    return channels, round(height * scale / 8) * 8, round(width * scale / 8) * 8


def task_name(text: str) -> str:
    """Return a valid name of a task that is like a text."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:50] or "task"
