"""Defines the flags that name a folder of data, and what to make of it."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.items import GroupPlace
from nestling_cloud.datasets.label_kinds import Kind
from nestling_cloud.datasets.label_table import read_label_table
from nestling_core.command_line.path_flags import input_file, input_folder

if TYPE_CHECKING:
    from nestling_cloud.datasets.proposal import Wishes

_FOLDERS: dict[str, Media] = {"pictures": "picture", "sounds": "sound", "windows": "array"}
_WISHES = ("labels", "pattern", "label_column", "target", "kind", "group_by", "size", "rate")
_LENGTHS = ("seconds", "length", "hop")


def add_folder(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the flags `--pictures`, `--sounds` and `--windows`, of which one may be given."""
    group = parser.add_mutually_exclusive_group(required=required)
    for flag, what in (
        ("pictures", "JPEG and PNG files"),
        ("sounds", "WAV, FLAC and other sound files"),
        ("windows", "recordings of sensors: CSV, Parquet or .npy files"),
    ):
        group.add_argument(
            f"--{flag}", type=input_folder, metavar="DIR", help=f"folder with {what}"
        )


def add_wishes(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add the flags that say what to make of a folder."""
    add = parser.add_argument
    add(
        "--labels",
        type=input_file,
        metavar="FILE.csv",
        help="table of labels: columns file, label and perhaps group and split; several labels "
        "of a file are separated by | (default: labels.csv in the folder, if there is one; "
        "otherwise the column of --label-column, or a folder for each class)",
    )
    add(
        "--pattern",
        metavar="REGEX",
        help=r"labels, groups or both from the files' names, such as "
        r"'(?P<label>\d)_(?P<group>[a-z]+)_'",
    )
    add(
        "--label-column",
        metavar="NAME",
        help="column of the recordings that has the labels (default: one called label, class, "
        "anomaly ...)",
    )
    add(
        "--target",
        action="append",
        metavar="NAME",
        help="column of the recordings that is estimated from the others; may be repeated",
    )
    add("--kind", choices=get_args(Kind), help="kind of task (default: as the labels suggest)")
    add(
        "--group-by",
        choices=get_args(GroupPlace),
        help="what makes a group, which is not divided between training, calibration and test: "
        "folder (the folders below a class), name or table (the group there), file (each file), "
        "none (default: the group of --pattern or --labels; for recordings, each file; otherwise "
        "the folders below the classes, if all files have one)",
    )
    _add_sizes(parser)


def _add_sizes(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    add = parser.add_argument
    add(
        "--size",
        type=_size,
        metavar="HxW",
        help="height and width of pictures in pixels (default: theirs up to 96; of larger ones, "
        "the shorter side becomes 64, or both if proportions differ)",
    )
    add(
        "--rate",
        type=_whole,
        metavar="HZ",
        help="samples in a second of a sound (default: the most frequent one)",
    )
    add(
        "--seconds",
        type=float,
        metavar="S",
        help="duration of an input of sound (default: one that few sounds exceed, at most 1)",
    )
    add(
        "--length",
        type=_whole,
        metavar="ROWS",
        help="rows in a window (default: a tenth of a usual recording, at most 100; .npy files "
        "that all have one length of up to 1000 are one window each)",
    )
    add(
        "--hop",
        type=_whole,
        metavar="ROWS",
        help="rows from a window to the next one (default: half a window)",
    )


def folder_of(options: argparse.Namespace) -> tuple[Media, Path] | None:
    """Return what files hold and the folder that the flags name, or None if none is named."""
    for flag, media in _FOLDERS.items():
        folder = getattr(options, flag)
        if folder is not None:
            return media, folder
    return None


def wishes_given(options: argparse.Namespace) -> Sequence[str]:
    """Return the flags of `add_wishes` that were given."""
    given = [name for name in (*_WISHES, *_LENGTHS) if getattr(options, name) is not None]
    return [f"--{name.replace('_', '-')}" for name in given]


def wishes_of(options: argparse.Namespace, seed: int = 0) -> "Wishes":
    """Return what the flags say about a folder.

    Args:
        options: the parsed flags.
        seed: the random seed for choosing calibration and test groups.

    Raises:
        DatasetError: the table of labels cannot be used.
    """
    from nestling_cloud.datasets.proposal import Wishes  # noqa: PLC0415  slow to import

    return Wishes(
        table=read_label_table(options.labels) if options.labels is not None else None,
        pattern=options.pattern or "",
        column=options.label_column or "",
        targets=options.target or (),
        kind=options.kind,
        groups=options.group_by,
        size=options.size,
        rate_hz=options.rate or 0,
        seconds=options.seconds or 0.0,
        length=options.length or 0,
        hop=options.hop or 0,
        seed=seed,
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[x\u00d7](\d+)", text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a height and a width, such as 32x32")
    return int(match[1]), int(match[2])


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
