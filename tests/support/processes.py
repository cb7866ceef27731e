"""Inspects other processes, and waits for conditions by polling."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 30.0


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    stat = seen(Path(f"/proc/{pid}/stat"), Path.read_text)
    return stat != "" and stat.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in seen(task / "children", Path.read_text).split()
    ]


def seen(path: Path, look: Callable[[Path], object]) -> str:
    """Read from a path in /proc, "" if it has vanished, as threads and descriptors do.

    Args:
        path: the path.
        look: reads the path.
    """
    try:
        return str(look(path))
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(condition: Callable[[], bool]) -> None:
    """Poll until a condition holds; fail if it does not within DEADLINE_S."""
    deadline = time.monotonic() + DEADLINE_S
    poll = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        poll.wait(0.02)
