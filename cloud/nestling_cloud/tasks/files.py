"""Where a task's files are: the same search order for every task."""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

from nestling_cloud.tasks.task import TaskError

_LOG = logging.getLogger(__name__)


class DataMissingError(TaskError):
    """No data where it was looked for; the text names every place."""


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """A task's data files.

    Attributes:
        name: folder name in the user's cache.
        sha256: known digests of each file by its name, the download's first. A distribution that
            packed the same content again has another one.
        variable: environment variable that may name a folder.
        system_folder: where a distribution's package puts them.
        package: that package's name, for the error text.
        url: folder to download from, ends in a slash.
    """

    name: str
    sha256: Mapping[str, tuple[str, ...]]
    variable: str
    system_folder: Path
    package: str
    url: str

    def find(self, data_dir: Path | None) -> dict[str, Path]:
        """Paths of all files by name, downloaded if need be.

        Searched in this order: `data_dir`, the environment variable, the distribution's folder,
        the user's cache, then the download. A folder that the user names must have the files
        whatever their content (they may be a subset of one's own); everywhere else the digests
        are checked. Where a file is damaged the search goes on, and a damaged file of the cache is
        downloaded again.

        Raises:
            DataMissingError: not found and not to be downloaded; the text names all places, and
                what is damaged there.
        """
        named = data_dir or (Path(text) if (text := os.environ.get(self.variable)) else None)
        if named is not None:
            return self._in_named(named)
        cache = Path(pooch.os_cache("nestling")) / self.name
        damaged: list[Path] = []
        for folder in (self.system_folder, cache):
            if all((folder / file).is_file() for file in self.sha256):
                bad = self._damaged(folder)
                if not bad:
                    return {file: folder / file for file in self.sha256}
                damaged += bad
        return self._download(cache, damaged)

    def _in_named(self, folder: Path) -> dict[str, Path]:
        missing = [file for file in self.sha256 if not (folder / file).is_file()]
        if missing:
            raise DataMissingError(f"{folder} has no {', '.join(missing)}")
        return {file: folder / file for file in self.sha256}

    def _damaged(self, folder: Path) -> list[Path]:
        """Files of a folder whose content is not the known one."""
        return [
            folder / file
            for file, known in self.sha256.items()
            if hashlib.sha256((folder / file).read_bytes()).hexdigest() not in known
        ]

    def _download(self, cache: Path, damaged: Sequence[Path]) -> dict[str, Path]:
        for path in damaged:
            _LOG.warning("%s is damaged: its SHA-256 is not the known one", path)
        fetcher = pooch.create(
            path=cache,
            base_url=self.url,
            registry={file: f"sha256:{known[0]}" for file, known in self.sha256.items()},
        )
        try:
            return {file: Path(fetcher.fetch(file)) for file in self.sha256}
        except Exception as err:  # pooch passes on whatever requests, urllib3 or the disk raise
            raise DataMissingError(
                f"{self.name}: no data. Looked at --data-dir (not given), ${self.variable} (not "
                f"set), {self.system_folder} (Debian: apt install {self.package}), {cache}, and "
                f"the download from {self.url} failed: {err}{_told(damaged)}"
            ) from err


def _told(damaged: Sequence[Path]) -> str:
    return "".join(f"; {path} is damaged: its SHA-256 is not the known one" for path in damaged)
