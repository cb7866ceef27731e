"""Brings together what was found in a folder and what was decided about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.facts import Facts, Found, Media
from nestling_cloud.datasets.items import Item, Part, Places, items_of
from nestling_cloud.datasets.label_kinds import LabelKind
from nestling_cloud.datasets.label_table import LabelTable
from nestling_cloud.datasets.look import Look
from nestling_cloud.datasets.split import SplitPlan, divide
from nestling_cloud.datasets.windows import WindowPlan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is decided about a folder.

    Attributes:
        places: where labels and groups are.
        kind: what the labels are.
        split: how the data is divided.
        rate_hz: the rate of the task's sounds.
        length: the samples in an input of sound.
        convert: whether sounds of another rate are converted, and not set aside.
        windows: how recordings are cut, if these are recordings.
    """

    places: Places
    kind: LabelKind
    split: SplitPlan
    rate_hz: int = 0
    length: int = 0
    convert: bool = False
    windows: WindowPlan | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A folder with everything that was decided about it.

    Attributes:
        media: what the files hold.
        plan: what was decided.
        files: the files that are used, with what was found in them.
        items: the labels, groups and parts that the files came with, in the same order.
        parts: the part of the data that each file is dealt to.
        weights: the number of inputs in each file.
        set_aside: for each file that is not used, by name, why.
        others: the number of files of other kinds.
    """

    media: Media
    plan: Plan
    files: Sequence[Found]
    items: Sequence[Item]
    parts: Sequence[Part]
    weights: Sequence[int]
    set_aside: Mapping[str, str]
    others: int

    @property
    def facts(self) -> list[Facts]:
        """What was found in the files."""
        return [found.facts for found in self.files]

    def inputs(self, part: Part) -> int:
        """Return the number of inputs in a part of the data."""
        pairs = zip(self.parts, self.weights, strict=True)
        return sum(weight for found, weight in pairs if found == part)


@dataclass(frozen=True, kw_only=True)
class Usable:
    """The files that a task can use.

    Attributes:
        files: the files, with what was found in them.
        items: their labels and groups, in the same order.
        weights: the number of inputs in each of them.
        set_aside: for each other file, by name, why it is not used.
    """

    files: Sequence[Found]
    items: Sequence[Item]
    weights: Sequence[int]
    set_aside: Mapping[str, str]


def usable_files(
    look: Look,
    places: Places,
    table: LabelTable | None,
    windows: WindowPlan | None = None,
    rate_hz: int = 0,
) -> Usable:
    """Return the files that can be read, have a label, and fit the task.

    Args:
        look: what was found in the folder.
        places: where labels and groups are.
        table: the table of labels, if there is one.
        windows: how recordings are cut, if these are recordings.
        rate_hz: the rate that sounds must have; 0 for any.

    Raises:
        DatasetError: no file can be used.
    """
    set_aside = dict[str, str]()
    for found in look.files:
        fault = found.facts.fault or _unfit(found.facts, windows, rate_hz)
        if fault:
            set_aside[found.file.name] = fault
    whole = [found for found in look.files if found.file.name not in set_aside]
    if not whole:
        name, reason = next(iter(set_aside.items()))
        raise DatasetError(f"no file in {look.folder} can be used: {name} {reason}")
    items, unlabeled = items_of([found.file.name for found in whole], places, table)
    by_name = {found.file.name: found for found in whole}
    files = [by_name[item.name] for item in items]
    weights = [windows.count(found.facts.shape[0]) if windows else 1 for found in files]
    return Usable(files=files, items=items, weights=weights, set_aside={**set_aside, **unlabeled})


def survey(look: Look, plan: Plan, table: LabelTable | None, seed: int) -> Survey:
    """Bring together what was found in a folder and what was decided about it.

    Args:
        look: what was found in the folder.
        plan: what was decided about it.
        table: the table of labels, if there is one.
        seed: the random seed of the division, unless the plan has one.

    Raises:
        DatasetError: no file can be used, or the data cannot be divided as planned.
    """
    rate_hz = 0 if plan.convert else plan.rate_hz
    usable = usable_files(look, plan.places, table, plan.windows, rate_hz)
    twins = [found.facts.sha256 for found in usable.files]
    return Survey(
        media=look.media,
        plan=plan,
        files=usable.files,
        items=usable.items,
        parts=divide(usable.items, usable.weights, twins, plan.split, seed),
        weights=usable.weights,
        set_aside=usable.set_aside,
        others=len(look.others),
    )


def _unfit(facts: Facts, windows: WindowPlan | None, rate_hz: int) -> str:
    """Return why a file does not fit a task, or ""."""
    if rate_hz and facts.rate_hz != rate_hz:
        return f"has {facts.rate_hz} samples a second, not {rate_hz}"
    if windows is None:
        return ""
    if facts.shape[0] < windows.length:
        return f"has {facts.shape[0]} rows, fewer than a window's {windows.length}"
    numbers = {column.name for column in facts.columns if column.is_number}
    missing = next(
        (name for name in [*windows.channels, *windows.targets] if name not in numbers), None
    )
    if missing is not None:
        return f"has no column {missing!r} of numbers"
    every = {column.name for column in facts.columns}
    if windows.label and not windows.unlabeled and windows.label not in every:
        return f"has no column {windows.label!r}"
    return ""
