"""Runs a command that dies with its parent: `python parent_death.py PARENT_PID COMMAND ARG...`.

On Linux, a process can ask for a signal on its parent's death, which even kill -9 triggers
(PR_SET_PDEATHSIG). The request survives exec, so this program makes it and then executes the
command. Making it after the parent's fork (`preexec_fn`) can deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command line that runs a command and ends it when this process dies.

    Args:
        command: absolute path of a program, and its arguments.
    """
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def main() -> None:
    """Request the signal, then execute the command."""
    parent = int(sys.argv[1])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent died before the request
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  running the given command is the purpose


if __name__ == "__main__":
    main()
