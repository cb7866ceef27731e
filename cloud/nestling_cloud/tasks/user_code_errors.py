"""Describe an error in a user's task code in one line, with file and line number."""

import sysconfig
import traceback
from pathlib import Path

_LONGEST = 300
_OWN = Path(__file__).parents[1]
_INSTALLED = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})


def blamed(err: BaseException) -> str:
    """Describe an error by its type, its first line and the place in the task's own code.

    Args:
        err: the error that a function of a task raised, itself or in a library.

    Returns:
        For example `FileNotFoundError: no teacher.pt (my_task.py, line 12)`; without the place if
        no frame of the traceback is in the task's code.
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
    """Return whether a file belongs to an installed library, whose version is known."""
    below = any(path.is_relative_to(folder) for folder in _INSTALLED)
    return below or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _is_others(path: Path) -> bool:
    """Return whether a frame's file is Nestling's, a library's, or not a file."""
    return not path.is_file() or path.is_relative_to(_OWN) or is_installed(path)
