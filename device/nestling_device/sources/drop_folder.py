"""The files of a watched folder: lists those that wait, and moves away those that are done.

Somebody else put the files there, so no entry makes anything here raise: a file that cannot be
moved stays where it is, and the caller learns of it.
"""

import itertools
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nestling_device.sources.source import SourceError, one_line

_log = logging.getLogger(__name__)

ANSWERED = "answered"
REJECTED = "rejected"
_SUFFIX = ".npy"
_LONGEST_NAME_BYTES = 255


class DropFolder:
    """A folder in which .npy files appear, with its subfolders `answered` and `rejected`."""

    def __init__(self, folder: Path) -> None:
        """Check the folder and make its subfolders.

        Raises:
            SourceError: no such folder, or it cannot be written.
        """
        self._folder = folder
        self._listed = True
        try:
            with os.scandir(folder):
                pass
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as err:
            raise SourceError(
                f"{folder} cannot be watched: {err.strerror}; name a folder in which the device "
                "may move files"
            ) from err
        for name in (ANSWERED, REJECTED):
            try:
                (folder / name).mkdir(exist_ok=True)
            except OSError as err:
                _log.warning(
                    "%s cannot be made: %s; files stay where they are until it can",
                    folder / name,
                    err.strerror,
                )

    def path(self, name: str) -> Path:
        """Path of a file."""
        return self._folder / name

    def names(self) -> list[str]:
        """Names that end in .npy and do not begin with a dot, sorted; whatever they name."""
        found = []
        try:
            with os.scandir(self._folder) as entries:
                found += [
                    entry.name
                    for entry in entries
                    if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".")
                ]
            self._listed = True
        except OSError as err:  # a stick that was pulled out may come back
            if self._listed:  # once, until it is back
                _log.warning("%s cannot be listed: %s", self._folder, err.strerror)
            self._listed = False
        return sorted(found)

    def put_away(self, name: str) -> bool:
        """Move a file to `answered`; False if it stays where it is."""
        return self._done(name, lambda: self._move(name, ANSWERED))

    def remove(self, name: str) -> bool:
        """Delete a file; False if it stays."""
        return self._done(name, self.path(name).unlink)

    def reject(self, name: str, reason: str) -> bool:
        """Move a file to `rejected`, and write the reason beside it; False if it stays."""

        def move() -> None:
            _explain(self._move(name, REJECTED), reason)

        moved = self._done(name, move)
        _log.warning("%s; %s %s", reason, "moved to" if moved else "not moved to", REJECTED)
        return moved

    def _move(self, name: str, kind: str) -> Path:
        folder = self._folder / kind
        folder.mkdir(exist_ok=True)  # somebody may have removed it
        target = _free_path(folder, name)
        self.path(name).rename(target)
        return target

    def _done(self, name: str, action: Callable[[], object]) -> bool:
        path = self.path(name)
        try:
            action()
        except OSError as err:
            if os.path.lexists(path):
                _log.warning(
                    "%s cannot be moved away: %s; it stays there and is left alone; let the "
                    "device write to its folder",
                    one_line(str(path)),
                    err.strerror,
                )
                return False
            _log.warning("%s was taken away while it was answered", one_line(str(path)))
        return True


def _free_path(folder: Path, name: str) -> Path:
    """Find a name like this one that is free, and no longer than a name may be."""
    stem = name.removesuffix(_SUFFIX)
    tails = (f"-{number}{_SUFFIX}" if number else _SUFFIX for number in itertools.count())
    paths = (folder / _join(stem, tail) for tail in tails)
    return next(path for path in paths if not os.path.lexists(path))


def _explain(target: Path, reason: str) -> None:
    # On a full disk a file is rejected without its reason. "x" follows no link that somebody put
    # there.
    with suppress(OSError), (target.parent / _join(target.name, ".txt")).open("xb") as file:
        file.write((one_line(reason) + "\n").encode())  # whatever the locale's encoding


def _join(stem: str, tail: str) -> str:
    """Append a tail to a name, which is cut where both together are too long."""
    data, room = os.fsencode(stem), _LONGEST_NAME_BYTES - len(tail)
    return (stem if len(data) <= room else data[:room].decode("utf-8", "ignore")) + tail
