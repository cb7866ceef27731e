"""Paths on a command line, checked before anything else happens: types for argparse.

A check does what the command will do: it opens the path, or writes a little into a file without a
name. So a full or a read-only disk is noticed before hours of work, not after. Where
that fails, each type raises `ArgumentTypeError`, whose text says what to name instead.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIED_BYTES = 4096


def input_folder(text: str) -> Path:
    """Take a folder to read; whether it has to exist is for the command to say."""
    path = Path(text)
    with _usage_error(path, "read"):
        if path.exists():
            _check_folder(path, path)
            os.scandir(path).close()
    return path


def input_file(text: str) -> Path:
    """Take a file to read; whether it has to exist is for the command to say."""
    path = Path(text)
    with _usage_error(path, "read"):
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
        if path.is_file():  # opening a pipe would take what is in it
            path.open("rb").close()
    return path


def output_folder(text: str) -> Path:
    """Take a folder to write into, which is made where it does not exist."""
    path = Path(text)
    with _usage_error(path, "written"):
        place = next(one for one in (path, *path.absolute().parents) if one.exists())
        _check_folder(place, path)
        _try_to_write(place)
    return path


def output_file(text: str) -> Path:
    """Take a file to write, in a folder that exists; an earlier one is replaced."""
    path = Path(text)
    with _usage_error(path, "written"):
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
        folder = path.absolute().parent
        if not folder.exists():
            raise argparse.ArgumentTypeError(f"{path}: the folder {folder} does not exist; make it")
        _check_folder(folder, path)
        if path.exists():
            path.open("ab").close()
        else:
            _try_to_write(folder)
    return path


@contextmanager
def _usage_error(path: Path, use: str) -> Iterator[None]:
    """Turn an OSError into a usage error: the path cannot be "read", or "written"."""
    try:
        yield
    except OSError as err:
        raise argparse.ArgumentTypeError(
            f"{path} cannot be {use}: {err.strerror or err}; name another"
        ) from err


def _check_folder(place: Path, path: Path) -> None:
    """Refuse a file where a folder is wanted, the path itself or one that it lies below."""
    if place.is_dir():
        return
    below = "" if place == path else f"{path}: "
    raise argparse.ArgumentTypeError(f"{below}{place} is not a folder; name a folder")


def _try_to_write(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0" * _TRIED_BYTES)
        file.flush()
        os.fsync(file.fileno())
