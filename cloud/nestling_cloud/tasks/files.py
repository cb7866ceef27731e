"""Finds the data files of a task, or downloads them."""

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
    """Raised when a task's data files are not found or cannot be read."""


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """Describes a task's data files and where to find them.

    Attributes:
        name: the name of the files' folder in the user's cache.
        sha256: a mapping from the name of each file to the file's known SHA-256 digests. The first
            is the digest of the downloaded file. Others are for files that a distribution has
            recompressed.
        variable: the environment variable that may name the folder of the files.
        system_folder: the folder in which a distribution's package installs the files.
        package: the name of the distribution's package, for the error text.
        url: the URL of the folder to download from, which ends in a slash.
    """

    name: str
    sha256: Mapping[str, tuple[str, ...]]
    variable: str
    system_folder: Path
    package: str
    url: str

    def find(self, data_dir: Path | None) -> dict[str, Path]:
        """Return a mapping from the name of each file to its path.

        If `data_dir` or, failing that, the environment variable names a folder, only that folder
        is searched. Its files are not checked, because they may be the user's own subset of the
        data.

        Otherwise, the distribution's folder is searched, and then the user's cache. The first of
        them that has all files, with known digests, is used. If neither has, the files that are
        missing or damaged in the cache are downloaded.

        Args:
            data_dir: the folder that the user names; None if the user names none.

        Raises:
            DataMissingError: a folder that the user names lacks a file, or no folder has all files
                and the download fails.
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
            raise DataMissingError(
                f"{folder} has no {', '.join(missing)}; name a folder with all data files"
            )
        return {file: folder / file for file in self.sha256}

    def _damaged(self, folder: Path) -> list[Path]:
        """Return the paths of a folder's data files that have an unknown digest."""
        return [
            folder / file
            for file, known in self.sha256.items()
            if hashlib.sha256((folder / file).read_bytes()).hexdigest() not in known
        ]

    def _download(self, cache: Path, damaged: Sequence[Path]) -> dict[str, Path]:
        for path in damaged:
            _LOG.warning("%s is damaged: its SHA-256 is unknown", path)
        fetcher = pooch.create(
            path=cache,
            base_url=self.url,
            registry={file: f"sha256:{known[0]}" for file, known in self.sha256.items()},
        )
        try:
            return {file: Path(fetcher.fetch(file)) for file in self.sha256}
        except Exception as err:  # pooch passes on any error of requests, urllib3 or the disk
            raise DataMissingError(
                f"{self.name}: no data. Looked at --data-dir (not given), ${self.variable} (not "
                f"set), {self.system_folder} (Debian: apt install {self.package}), {cache}, and "
                f"the download from {self.url} failed: {err}{_damage_text(damaged)}"
            ) from err


def _damage_text(damaged: Sequence[Path]) -> str:
    return "".join(f"; {path} is damaged: its SHA-256 is unknown" for path in damaged)
