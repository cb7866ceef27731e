"""Find or download a task's data files, in the same search order for every task."""

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
    """The data was not found; the text names every place that was searched."""


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """Describes a task's data files and where they may be found.

    Attributes:
        name: folder name in the user's cache.
        sha256: known SHA-256 digests of each file by its name, the download's first. A file that a
            distribution has recompressed has a different one.
        variable: environment variable that may name the folder of the files.
        system_folder: folder in which a distribution's package installs them.
        package: name of that package, for the error text.
        url: folder to download from; it ends in a slash.
    """

    name: str
    sha256: Mapping[str, tuple[str, ...]]
    variable: str
    system_folder: Path
    package: str
    url: str

    def find(self, data_dir: Path | None) -> dict[str, Path]:
        """Return the path of each file by name; download the files if they are not found.

        The search order is `data_dir`, the environment variable, the distribution's folder, the
        user's cache, and the download. A folder that the user names must have all files, but their
        content is not checked (they may be the user's own subset); everywhere else the digests are
        checked. The search goes past a folder with a damaged file, and a damaged file in the cache
        is downloaded again.

        Args:
            data_dir: a folder that the user names; None if there is none.

        Raises:
            DataMissingError: the files were not found and the download failed; the text names all
                places and the damaged files.
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
        """Return the files of a folder whose digest is not a known one."""
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
