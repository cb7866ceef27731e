"""Describes an error in a user's task code in one line, with the file and the line number."""

import sysconfig
import traceback
from pathlib import Path

_LONGEST = 300
_OWN = Path(__file__).parents[1]
_INSTALLED = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})


def blamed(err: BaseException) -> str:
    """Return an error's type and message, and the line of the user's code that failed.

    Args:
        err: the error that the user's code raised, directly or through a library.

    Returns:
        For example `FileNotFoundError: no teacher.pt (my_task.py, line 12)`. Only the first line of
        the message is used, up to 300 characters. File and line are left out if no frame of the
        traceback is in the user's code.
    """
    reason = (str(err).strip().splitlines() or [""])[0][:_LONGEST]
    text = f"{type(err).__name__}: {reason}" if reason else type(err).__name__
    frames = [
        frame
        for frame in traceback.extract_tb(err.__traceback__)
        if not _is_others(Path(frame.filename))
    ]
    return (
        f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
    )


def is_installed(path: Path) -> bool:
    """Return whether a file belongs to an installed library or to Python's standard library."""
    below = any(path.is_relative_to(folder) for folder in _INSTALLED)
    return below or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _is_others(path: Path) -> bool:
    """Return whether a file in a traceback does not exist, is installed or is part of Nestling."""
    return not path.is_file() or path.is_relative_to(_OWN) or is_installed(path)
