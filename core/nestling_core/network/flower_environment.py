"""Builds the environment in which Flower's programs are started."""

import os
import sys
from pathlib import Path

from nestling_core.network.proxies import bypass_proxies

_QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
# Settings for interactive Python that a shell may have exported.
_NOT_INHERITED = {"PYTHONSTARTUP", "PYTHONINSPECT"}


def flower_environment(*hosts: str) -> dict[str, str]:
    """Return the environment variables for Flower's programs.

    With these variables, the programs send no usage reports, use no proxy for their connections to
    each other, and find the programs of this Python environment first.

    Args:
        hosts: the hosts of the SuperLink, if it is not on this machine.
    """
    scripts = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    variables = {**bypass_proxies(inherited, *hosts), **_QUIET}
    variables["PATH"] = f"{scripts}{os.pathsep}{variables.get('PATH', '')}"
    return variables
