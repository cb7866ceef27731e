"""Provides argparse types that check a path before the command starts its work.

A check tries in advance what the command will do later: it opens the file or folder, or writes some
data to a temporary file in the output folder. A full or read-only disk is therefore detected before
hours of work, not after them. If a check fails, the type raises `argparse.ArgumentTypeError`, whose
message says what to do.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEST_WRITE_BYTES = 4096


def input_folder(text: str) -> Path:
    """Return the path of a folder to read, after checking that an existing folder can be read.

    A missing folder is accepted; the command decides what to do about it.
    """
    path = Path(text)
    with _usage_error(path, "read"):
        if path.exists():
            _check_folder(path, path)
            os.scandir(path).close()
    return path


def input_file(text: str) -> Path:
    """Return the path of a file to read, after checking that an existing file can be opened.

    A missing file is accepted; the command decides what to do about it.
    """
    path = Path(text)
    with _usage_error(path, "read"):
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
        if path.is_file():  # opening a pipe would consume its content
            path.open("rb").close()
    return path


def output_folder(text: str) -> Path:
    """Return the path of a folder to write into, after checking that files can be written there.

    A missing folder is accepted, because the command creates it. The check then writes into the
    nearest parent folder that exists.
    """
    path = Path(text)
    with _usage_error(path, "written"):
        existing = next(each for each in (path, *path.absolute().parents) if each.exists())
        _check_folder(existing, path)
        _try_to_write(existing)
    return path


def output_file(text: str) -> Path:
    """Return the path of a file to write, after checking that the file can be written.

    The file's folder must exist. An existing file is accepted, and the command overwrites it.
    """
    path = Path(text)
    with _usage_error(path, "written"):
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
        folder = path.absolute().parent
        if not folder.exists():
            raise argparse.ArgumentTypeError(
                f"{path}: the folder {folder} does not exist; create it"
            )
        _check_folder(folder, path)
        if path.exists():
            path.open("ab").close()
        else:
            _try_to_write(folder)
    return path


@contextmanager
def _usage_error(path: Path, use: str) -> Iterator[None]:
    """Raise `argparse.ArgumentTypeError` if the block raises an OSError.

    `use` is "read" or "written", and completes the message.
    """
    try:
        yield
    except OSError as err:
        raise argparse.ArgumentTypeError(
            f"{path} cannot be {use}: {err.strerror or err}; name another path"
        ) from err


def _check_folder(folder: Path, path: Path) -> None:
    """Raise `argparse.ArgumentTypeError` if `folder` is not a folder.

    `folder` is the given `path` itself, or a parent of that path.
    """
    if folder.is_dir():
        return
    below = "" if folder == path else f"{path}: "
    raise argparse.ArgumentTypeError(f"{below}{folder} is not a folder; name a folder")


def _try_to_write(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0" * _TEST_WRITE_BYTES)
        file.flush()
        os.fsync(file.fileno())
