"""Lists the files of a watched folder, and moves finished files into subfolders.

Other programs write into the folder, so no method raises an error because of an entry in it. If a
file cannot be moved, it stays where it is, and the method returns False.
"""

import itertools
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from nestling_device.sources.source import SourceError, one_line

_log = logging.getLogger(__name__)

ANSWERED = "answered"
REJECTED = "rejected"
_LONGEST_NAME_BYTES = 255


class DropFolder:
    """A folder in which files appear, with its subfolders `answered` and `rejected`."""

    def __init__(self, folder: Path, suffixes: Sequence[str] = (".npy",)) -> None:
        """Check that the folder can be used, and create its subfolders.

        Args:
            folder: the folder.
            suffixes: the extensions of the files to list, in lower case.

        Raises:
            SourceError: the folder does not exist or cannot be written.
        """
        self._folder = folder
        self._suffixes = tuple(suffixes)
        self._listed = True
        try:
            with os.scandir(folder):
                pass
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as err:
            raise SourceError(
                f"{folder} cannot be watched: {err.strerror}",
                advice="name a folder in which the device may move files",
            ) from err
        for name in (ANSWERED, REJECTED):
            try:
                (folder / name).mkdir(exist_ok=True)
            except OSError as err:
                _log.warning(
                    "%s cannot be created: %s; files stay where they are until it can",
                    folder / name,
                    err.strerror,
                )

    def path(self, name: str) -> Path:
        """Return the path of a file in the folder."""
        return self._folder / name

    def names(self) -> list[str]:
        """Return the sorted names of the entries that have one of the suffixes.

        The entries may be of any type. Hidden ones are left out. The result is empty if the folder
        cannot be listed.
        """
        names = []
        try:
            with os.scandir(self._folder) as entries:
                names += [
                    entry.name
                    for entry in entries
                    if entry.name.lower().endswith(self._suffixes)
                    and not entry.name.startswith(".")
                ]
            self._listed = True
        except OSError as err:  # an unplugged drive may come back
            if self._listed:  # logged once, until the folder is back
                _log.warning("%s cannot be listed: %s", self._folder, err.strerror)
            self._listed = False
        return sorted(names)

    def put_away(self, name: str) -> bool:
        """Move a file to `answered`.

        Returns:
            False if the file stays where it is. True if it was moved or has disappeared.
        """
        return self._finish(name, lambda: self._move(name, ANSWERED))

    def remove(self, name: str) -> bool:
        """Delete a file.

        Returns:
            False if the file stays where it is. True if it was deleted or has disappeared.
        """
        return self._finish(name, self.path(name).unlink)

    def reject(self, name: str, reason: str) -> bool:
        """Move a file to `rejected`, and write the reason into a text file beside it.

        If the disk is full, the text file may be missing.

        Args:
            name: the name of the file.
            reason: the reason why the file is rejected, which is also logged.

        Returns:
            False if the file stays where it is. True if it was moved or has disappeared.
        """

        def move() -> None:
            _explain(self._move(name, REJECTED), reason)

        moved = self._finish(name, move)
        _log.warning("%s; %s %s", reason, "moved to" if moved else "not moved to", REJECTED)
        return moved

    def _move(self, name: str, kind: str) -> Path:
        folder = self._folder / kind
        folder.mkdir(exist_ok=True)  # it may have been removed meanwhile
        target = _free_path(folder, name)
        self.path(name).rename(target)
        return target

    def _finish(self, name: str, action: Callable[[], object]) -> bool:
        path = self.path(name)
        try:
            action()
        except OSError as err:
            if os.path.lexists(path):
                _log.warning(
                    "%s cannot be moved away: %s; it stays there and is skipped; let the device "
                    "write to its folder",
                    one_line(str(path)),
                    err.strerror,
                )
                return False
            _log.warning("%s disappeared while it was being answered", one_line(str(path)))
        return True


def _free_path(folder: Path, name: str) -> Path:
    """Return an unused path in a folder for a file with this name.

    If necessary, the name is shortened, and a number is appended to it.
    """
    stem, dot, end = name.rpartition(".")
    tails = (f"-{number}{dot}{end}" if number else f"{dot}{end}" for number in itertools.count())
    paths = (folder / _join(stem, tail) for tail in tails)
    return next(path for path in paths if not os.path.lexists(path))


def _explain(target: Path, reason: str) -> None:
    # On a full disk the file is rejected without its reason. Mode "x" does not follow a link that
    # another program placed there.
    with suppress(OSError), (target.parent / _join(target.name, ".txt")).open("xb") as file:
        file.write((one_line(reason) + "\n").encode())  # UTF-8 whatever the locale


def _join(stem: str, tail: str) -> str:
    """Append a tail to a stem, whose end is cut off if the name would exceed 255 bytes."""
    data, room = os.fsencode(stem), _LONGEST_NAME_BYTES - len(tail)
    return (stem if len(data) <= room else data[:room].decode("utf-8", "ignore")) + tail
