"""Finds the recordings of the Free Spoken Digit Dataset, or downloads them.

GitHub makes the archive on demand and does not promise the same bytes each time, so that it has no
known digest. What is in it is checked instead: the name and the format of every recording, and
that none of the data set's recordings is missing.
"""

import io
import os
import re
import tarfile
import wave
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pooch
from numpy.typing import NDArray

from nestling_cloud.tasks.files import DataMissingError
from nestling_cloud.tasks.task import TaskError

RATE_HZ = 8000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
PER_SPEAKER = 500
VARIABLE = "NESTLING_SPOKEN_DIGITS"
ARCHIVE = "free-spoken-digit-dataset-1.0.10.tar.gz"
URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"

_NAME = re.compile(r"([0-9])_([a-z]+)_([0-9]+)\.wav")
_MOST_BYTES = 1 << 20  # of one recording; the longest has 36 kB


@dataclass(frozen=True, kw_only=True, eq=False)
class SpokenDigit:
    """A recording of one digit.

    Attributes:
        digit: the digit, 0 to 9.
        speaker: the name of the speaker.
        number: the number of the recording among those of the speaker and the digit.
        samples: the samples, float32 (T,), from -1 to 1.
    """

    digit: int
    speaker: str
    number: int
    samples: NDArray[np.float32]


def find_recordings(data_dir: Path | None, url: str = URL) -> list[SpokenDigit]:
    """Return all recordings, in the order of speaker, digit and number.

    If `data_dir` or, failing that, the environment variable NESTLING_SPOKEN_DIGITS names a folder,
    its recordings are used, which may be the user's own subset. The folder is a clone of the data
    set's repository, its folder `recordings`, or holds the archive. Otherwise, the archive in the
    user's cache is used, and downloaded if it is not there.

    Args:
        data_dir: the folder that the user names; None if the user names none.
        url: the address of the archive.

    Raises:
        DataMissingError: a folder that the user names has no recordings, or the download fails.
        TaskError: a recording or the archive is damaged, or the archive lacks recordings.
    """
    named = data_dir or (Path(text) if (text := os.environ.get(VARIABLE)) else None)
    if named is not None:
        return _in_order(_in_folder(named))
    path = Path(pooch.os_cache("nestling")) / "spoken-digits" / ARCHIVE
    if not path.is_file():
        _download(url, path)
    return _whole(_in_order(_in_archive(path, "delete it, and it is downloaded again")), path)


def _in_folder(folder: Path) -> Iterator[SpokenDigit]:
    archive = folder / ARCHIVE
    for place in (folder / "recordings", folder):
        files = sorted(path for path in place.glob("*.wav") if _NAME.fullmatch(path.name))
        if files:
            return (_recording(path.name, _content(path), path) for path in files)
    if archive.is_file():
        return _in_archive(archive, "replace it")
    raise DataMissingError(
        f"{folder} has no recordings such as 7_jackson_32.wav, neither in its folder recordings "
        f"nor in {ARCHIVE}; name a folder that has them"
    )


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as err:
        raise DataMissingError(f"cannot read {path}: {err.strerror}") from err


def _in_archive(path: Path, advice: str) -> Iterator[SpokenDigit]:
    """Yield the recordings in an archive, without unpacking it to the disk."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isfile() and name.parent.name == "recordings":
                    file = archive.extractfile(member)
                    content = file.read(_MOST_BYTES) if file else b""
                    if _NAME.fullmatch(name.name):
                        yield _recording(name.name, content, path)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as err:
        raise TaskError(f"{path} is damaged ({err}); {advice}") from err


def _recording(name: str, content: bytes, place: Path) -> SpokenDigit:
    found = _NAME.fullmatch(name)
    assert found is not None  # all callers have checked
    try:
        with wave.open(io.BytesIO(content)) as file:
            kind = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError) as err:
        raise TaskError(f"{place}: {name} is not a WAV file: {err}") from err
    if kind != (RATE_HZ, 1, 2) or not data or len(data) % 2:
        raise TaskError(
            f"{place}: {name} must have samples of 16 bits of one channel at {RATE_HZ} Hz"
        )
    return SpokenDigit(
        digit=int(found[1]),
        speaker=found[2],
        number=int(found[3]),
        samples=(np.frombuffer(data, "<i2") / 32768).astype(np.float32),
    )


def _in_order(found: Iterator[SpokenDigit]) -> list[SpokenDigit]:
    return sorted(found, key=lambda one: (one.speaker, one.digit, one.number))


def _whole(found: list[SpokenDigit], path: Path) -> list[SpokenDigit]:
    wanted = [(speaker, digit) for speaker in SPEAKERS for digit in range(10)]
    each = PER_SPEAKER // 10
    if [(one.speaker, one.digit) for one in found] != [
        pair for pair in wanted for _ in range(each)
    ]:
        raise TaskError(
            f"{path} has {len(found)} recordings, and not {each} of each digit by each of "
            f"{', '.join(SPEAKERS)}; delete it, and it is downloaded again"
        )
    return found


def _download(url: str, path: Path) -> None:
    try:
        pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent)
    except Exception as err:  # pooch passes on any error of requests, urllib3 or the disk
        raise DataMissingError(
            f"spoken-digits: no data. Looked at --data-dir (not given), ${VARIABLE} (not set), "
            f"{path}, and the download from {url} failed: {err}"
        ) from err
