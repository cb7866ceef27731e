"""Looks at all files of a folder, and remembers what it found.

What was found in a file is kept in the cache, and found again if neither the size nor the time of
modification of the file has changed.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nestling_cloud.atomic_file import write_whole
from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.examine import SUFFIXES, examine
from nestling_cloud.datasets.facts import Column, Facts, Found, Media
from nestling_cloud.datasets.listing import FileEntry, list_files
from nestling_cloud.progress import Progress
from nestling_core.media.errors import DecoderMissingError

_FORMAT = 3  # grows when the same file would be described differently


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """What a folder holds.

    Attributes:
        folder: the folder.
        media: what its files hold.
        files: the files with what was found in them, by name, also those that cannot be used.
        others: the names of the files of other kinds.
    """

    folder: Path
    media: Media
    files: Sequence[Found]
    others: Sequence[str]


def look(folder: Path, media: Media, progress: Progress) -> Look:
    """Look at every file of a folder.

    Args:
        folder: the folder.
        media: what its files hold.
        progress: the display, advanced for every file.

    Raises:
        DatasetError: the folder cannot be read, has no such file, or the package that decodes them
            is not installed.
    """
    listing = list_files(folder, SUFFIXES[media])
    memory = cache_folder() / "folders" / f"{_key(folder, media)}.json"
    known = _recalled(memory)
    files = list(
        progress.track(
            _each(folder, media, listing.files, known),
            len(listing.files),
            f"looking at {len(listing.files)} files",
        )
    )
    if any(known.get(found.file.name, ("",))[0] != _stamp(found.file) for found in files):
        with suppress(OSError):  # without the memory, the next look takes longer
            _remember(memory, files)
    return Look(folder=folder, media=media, files=files, others=listing.others)


def _each(
    folder: Path,
    media: Media,
    files: Sequence[FileEntry],
    known: Mapping[str, tuple[Any, Facts]],
) -> Iterator[Found]:
    for file in files:
        stamp, facts = known.get(file.name, ("", None))
        if facts is None or stamp != _stamp(file):
            try:
                facts = examine(folder / file.name, media)
            except DecoderMissingError as err:
                raise DatasetError(f"{folder / file.name} {err}") from err
        yield Found(file=file, facts=facts)


def _key(folder: Path, media: Media) -> str:
    return hashlib.sha256(f"{_FORMAT} {media} {folder.resolve()}".encode()).hexdigest()[:16]


def _stamp(file: FileEntry) -> str:
    return f"{file.size} {file.mtime_ns}"


def _remember(memory: Path, files: Sequence[Found]) -> None:
    entries = {found.file.name: (_stamp(found.file), _packed(found.facts)) for found in files}
    write_whole(memory, json.dumps(entries).encode())


def _recalled(memory: Path) -> dict[str, tuple[str, Facts]]:
    try:
        entries = json.loads(memory.read_bytes())
        return {name: (stamp, _unpacked(facts)) for name, (stamp, facts) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}  # there is none yet, or it is damaged


def _packed(facts: Facts) -> dict[str, Any]:
    """Return the fields that differ from their defaults."""
    return {
        field.name: value
        for field in dataclasses.fields(facts)
        if (value := getattr(facts, field.name)) != field.default
    } | (
        {"columns": [dataclasses.asdict(column) for column in facts.columns]}
        if facts.columns
        else {}
    )


def _unpacked(packed: Mapping[str, Any]) -> Facts:
    columns = tuple(Column(**column) for column in packed.get("columns", ()))
    shape = tuple(packed.get("shape", ()))
    return Facts(**{**packed, "shape": shape, "columns": columns})
