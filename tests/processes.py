"""Looking at other processes, and waiting for them without guessing how long it takes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 30.0


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def until(condition: Callable[[], bool]) -> None:
    """Poll a condition; fail if it does not hold by the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    poll = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        poll.wait(0.02)
