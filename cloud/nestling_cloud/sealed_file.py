"""Files that are checked whenever they are read: each has its SHA-256 beside it.

`teacher.onnx.sha256` is the seal of `teacher.onnx`, in the format of sha256sum.
"""

import hashlib
from pathlib import Path

from nestling_cloud.atomic_file import PRIVATE, write_whole
from nestling_cloud.errors import CloudError


class SealError(CloudError):
    """A file whose content is not what was written to it, or that has no seal."""


def seal_of(path: Path) -> Path:
    """File that holds a file's digest."""
    return path.with_name(f"{path.name}.sha256")


def write_sealed(path: Path, data: bytes, *, folder_mode: int = PRIVATE) -> None:
    """Write a file and its seal in place of earlier ones.

    At every moment, and after a kill or a power cut at any, the file reads as the earlier or as the
    new one: in between the seal names both, and those of earlier attempts that were killed.

    Args:
        path: the file.
        data: what it holds from now on.
        folder_mode: of its folder, where that has to be made.
    """
    digest, seal = hashlib.sha256(data).hexdigest(), seal_of(path)
    known = [*_digests(seal), digest]
    write_whole(seal, _lines(path, known), folder_mode=folder_mode)
    write_whole(path, data, folder_mode=folder_mode)
    write_whole(seal, _lines(path, [digest]), folder_mode=folder_mode)


def read_sealed(path: Path) -> bytes:
    """Read a file that `write_sealed` wrote.

    Raises:
        FileNotFoundError: there is none.
        SealError: its content is another one, or nothing is known of it.
    """
    data, seal = path.read_bytes(), seal_of(path)
    known = _digests(seal)
    if not known:
        raise SealError(f"{path} cannot be checked: {seal} has no SHA-256 of it")
    if hashlib.sha256(data).hexdigest() not in known:
        raise SealError(
            f"{path} is damaged: its {len(data)} bytes have another SHA-256 than {seal} says"
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
