"""Run a command that dies with its parent: `python parent_death.py PARENT_PID COMMAND ARG...`.

Linux sends a child the signal that it asked for when its parent goes, kill -9 included. The target
outlives exec, so this process makes it and then becomes the command. Doing the same in the
parent's fork (`preexec_fn`) can deadlock in a process that has threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """Wrap a command so that it dies with this process.

    Args:
        command: an absolute path and its arguments.
    """
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def main() -> None:
    """Ask for the signal, then become the command."""
    parent = int(sys.argv[1])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it went before we asked
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  that is the purpose


if __name__ == "__main__":
    main()
