"""Runs a user's task code, and describes its errors in one line with the place in the user's file.

The code may raise anything, print, exit, or fork.
"""

import contextlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

from nestling_cloud.errors import CloudError
from nestling_core.parsing.headline import headline

OUR_PACKAGES = ("nestling", "nestling_core", "nestling_cloud", "nestling_device", "nestling_sim")

_INSTALLED = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})
_FORKED = 1  # exit status of a process that the user's code forked


@contextlib.contextmanager
def users_code(
    what: str, error: type[CloudError], *, passing: type[CloudError] = CloudError
) -> Iterator[None]:
    """Run code of the user in the `with` block, and turn what it raises into one error.

    What the code prints goes to standard error, because a command's own output on standard output
    may be read by a program. If the code forks, the new process ends with the block.

    Args:
        what: the start of the error's text, such as "task digits: load(data_dir, seed)".
        error: the class of the error to raise.
        passing: the class of errors that are raised as they are, because their text is for the
            user.

    Raises:
        CloudError: the code failed, or it raised such an error itself.
        KeyboardInterrupt: the user stopped the program.
    """
    process = os.getpid()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (passing, KeyboardInterrupt):
        raise
    except SystemExit as err:
        raise error(f"{what} ends the program: {blamed(err)}; raise an error instead") from err
    except BaseException as err:  # the user's code may raise anything
        raise error(f"{what} failed: {blamed(err)}") from err
    finally:
        if os.getpid() != process:
            os._exit(_FORKED)


def blamed(err: BaseException) -> str:
    """Return an error's type and message, and the line of the user's code that failed.

    Args:
        err: the error that the user's code raised, directly or through a library.

    Returns:
        For example `FileNotFoundError: no teacher.pt (my_task.py, line 12)`. Of the message, only
        `headline` is used. File and line are left out if no frame of the traceback is in the user's
        code.
    """
    name, reason = type(err).__name__, headline(_message(err))
    text = f"{name}: {reason}" if reason else name
    place = _place(err)
    return f"{text} ({place})" if place else text


def is_installed(path: Path) -> bool:
    """Return whether a file belongs to an installed library or to Python's standard library."""
    below = any(path.is_relative_to(folder) for folder in _INSTALLED)
    return below or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _message(err: BaseException) -> str:
    if isinstance(err, SyntaxError):  # its text would repeat the place
        return err.msg or ""
    try:
        return str(err)
    except Exception:  # noqa: BLE001  the user's class may fail in any way
        return "its message cannot be read"


def _place(err: BaseException) -> str:
    """Return the file and line of the user's code where an error arose; "" if they are unknown."""
    if isinstance(err, SyntaxError) and err.filename and not _is_others(Path(err.filename)):
        return f"{Path(err.filename).name}, line {err.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(err.__traceback__)
        if not _is_others(Path(frame.filename))
    ]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def _is_others(path: Path) -> bool:
    """Return whether a file in a traceback does not exist, is installed or is part of Nestling."""
    ours = any(path.is_relative_to(folder) for folder in _our_folders())
    return ours or not path.is_file() or is_installed(path)


def _our_folders() -> Iterator[Path]:
    for name in OUR_PACKAGES:
        spec = importlib.util.find_spec(name)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield Path(folder)
