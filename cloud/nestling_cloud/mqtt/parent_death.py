"""Runs a command that ends when its parent process ends.

Run this program with `python parent_death.py PARENT_PID COMMAND ARG...`.

On Linux, a process can ask to be sent a signal when its parent ends (PR_SET_PDEATHSIG), even if the
parent is killed by SIGKILL. The request stays in force when the process executes another program.
So this program makes the request and then executes the command. Making the request between fork and
exec (`preexec_fn`) could deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command line that runs a command and ends it when the parent process ends.

    Linux sends the command SIGTERM when the thread of this process that started it ends, and so at
    the latest when this process ends.

    Args:
        command: the absolute path of a program, and the program's arguments.
    """
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def main() -> None:
    """Ask Linux to send this process SIGTERM when its parent ends, then execute the command.

    If the parent has already ended, the program exits with status 1 instead.
    """
    parent = int(sys.argv[1])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent died before the request
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  running the given command is the purpose


if __name__ == "__main__":
    main()
