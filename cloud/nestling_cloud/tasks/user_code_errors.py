"""What went wrong in somebody's own code, in one line with its place."""

import sysconfig
import traceback
from pathlib import Path

_LONGEST = 300
_OWN = Path(__file__).parents[1]
_INSTALLED = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})


def blamed(err: BaseException) -> str:
    """Tell an error's kind, its first line, and where in a task's own code it arose.

    Args:
        err: raised by a function of a task, or below one.

    Returns:
        For example `FileNotFoundError: no teacher.pt (my_task.py, line 12)`; without a place where
        none of the frames is the task's.
    """
    reason = (str(err).strip().splitlines() or [""])[0][:_LONGEST]
    told = f"{type(err).__name__}: {reason}" if reason else type(err).__name__
    frames = [
        frame
        for frame in traceback.extract_tb(err.__traceback__)
        if not _is_others(Path(frame.filename))
    ]
    return (
        f"{told} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else told
    )


def is_installed(path: Path) -> bool:
    """Whether a file is a library's, which somebody installed and whose version is known."""
    below = any(path.is_relative_to(folder) for folder in _INSTALLED)
    return below or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _is_others(path: Path) -> bool:
    """Whether a frame's file is ours or a library's, or no file at all."""
    return not path.is_file() or path.is_relative_to(_OWN) or is_installed(path)
