"""Writes files together with a seal, and checks the seal whenever a file is read.

The seal of a file is another file, which contains the first file's SHA-256. The seal of
`teacher.onnx` is `teacher.onnx.sha256`, in the format of sha256sum.
"""

import hashlib
from pathlib import Path

from nestling_cloud.atomic_file import SHARED, write_whole
from nestling_cloud.errors import CloudError


class SealError(CloudError):
    """Raised when a file's content does not match its seal, or the seal has no SHA-256."""


def seal_of(path: Path) -> Path:
    """Return the path of a file's seal."""
    return path.with_name(f"{path.name}.sha256")


def write_sealed(path: Path, data: bytes) -> None:
    """Write a file and its seal, replacing existing ones.

    `read_sealed` can read either the old or the new content at any time, even if this process is
    killed or the power fails. To make this possible, the seal lists the digests of both contents
    while the file is being replaced, and the digests of earlier attempts that were interrupted.

    Args:
        path: the path of the file to write.
        data: the file's new content.

    Raises:
        OSError: the file or its folder cannot be written.
    """
    digest, seal = hashlib.sha256(data).hexdigest(), seal_of(path)
    known = [*_digests(seal), digest]
    write_whole(seal, _lines(path, known), folder_mode=SHARED)
    write_whole(path, data, folder_mode=SHARED)
    write_whole(seal, _lines(path, [digest]), folder_mode=SHARED)


def read_sealed(path: Path) -> bytes:
    """Return a file's content after checking it against the file's seal.

    Raises:
        FileNotFoundError: the file does not exist.
        SealError: the content does not match the seal, or the seal is missing or unreadable.
    """
    data, seal = path.read_bytes(), seal_of(path)
    known = _digests(seal)
    if not known:
        raise SealError(f"{path} cannot be checked: {seal} does not hold its SHA-256")
    if hashlib.sha256(data).hexdigest() not in known:
        raise SealError(
            f"{path} is damaged: the SHA-256 of its {len(data)} bytes is not the one in {seal}"
        )
    return data


def _digests(seal: Path) -> list[str]:
    try:
        lines = seal.read_text("ascii").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return []
    return [line.split(" ", 1)[0] for line in lines]


def _lines(path: Path, digests: list[str]) -> bytes:
    return "".join(f"{digest}  {path.name}\n" for digest in digests).encode()
