"""Lists the files of a folder with data."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.datasets.errors import DatasetError

TABLE_NAME = "labels.csv"
"""The name of a table of labels that lies in the folder itself."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a folder.

    Attributes:
        name: the path below the folder, with slashes.
        size: the size in bytes.
        mtime_ns: the Unix time of the last modification, in nanoseconds.
    """

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a folder.

    Attributes:
        files: the files with the wanted suffixes, by name.
        others: the names of all other files.
    """

    files: Sequence[FileEntry]
    others: Sequence[str]


def list_files(folder: Path, suffixes: Sequence[str]) -> Listing:
    """List the files in a folder and in the folders below it.

    Names that begin with a dot are left out, so is the table `labels.csv` of the folder itself, and
    links to folders are not followed.

    Args:
        folder: the folder.
        suffixes: the extensions of the wanted files, in lower case.

    Raises:
        DatasetError: the folder cannot be read, or has no such file.
    """
    files, others = list[FileEntry](), list[str]()
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder")
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            below = path.relative_to(folder).as_posix()
            if name.startswith(".") or below == TABLE_NAME:
                continue
            if not name.lower().endswith(tuple(suffixes)) or not _is_text(below):
                others.append(below)
                continue
            status = path.stat()
            files.append(FileEntry(name=below, size=status.st_size, mtime_ns=status.st_mtime_ns))
    if not files:
        raise DatasetError(
            f"{folder} has no file that ends in {', '.join(suffixes)}; "
            f"it has {len(others)} other files"
        )
    return Listing(files=sorted(files, key=lambda file: file.name), others=others)


def _refuse(err: OSError) -> None:
    raise DatasetError(f"{err.filename} cannot be read: {err.strerror}") from err


def _is_text(name: str) -> bool:
    return name.isprintable() and not any(0xD800 <= ord(char) < 0xE000 for char in name)
