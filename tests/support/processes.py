"""Looking at other processes, and waiting for them without guessing how long it takes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 30.0


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody reaped does not."""
    stat = seen(Path(f"/proc/{pid}/stat"), Path.read_text)
    return stat != "" and stat.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in seen(task / "children", Path.read_text).split()
    ]


def seen(path: Path, look: Callable[[Path], object]) -> str:
    """What a file of /proc says; "" if it went away, as threads and descriptors do."""
    try:
        return str(look(path))
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(condition: Callable[[], bool]) -> None:
    """Poll a condition; fail if it does not hold by the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    poll = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        poll.wait(0.02)
