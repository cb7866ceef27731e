"""Identifies this machine.

Figures that are measured on one machine are not valid on another.
"""

import platform
from importlib.metadata import version
from pathlib import Path

from nestling_core.nest.bundle_files import Activations

_MODEL = Path("/proc/device-tree/model")
_CPUINFO = Path("/proc/cpuinfo")


def activations_of(architecture: str) -> Activations:
    """Return the integer type of activations that suits a processor.

    The type is int8 on ARM, and uint8 on any other architecture.

    Args:
        architecture: the value of `platform.machine()`.
    """
    return "int8" if architecture.startswith(("aarch64", "arm")) else "uint8"


def machine_name(model: Path = _MODEL, cpuinfo: Path = _CPUINFO) -> str:
    """Return a line with the board or processor, the architecture and the onnxruntime version.

    Args:
        model: the file with the board's name.
        cpuinfo: the file with the processor's name, which replaces a missing board name.
    """
    board = _board(model) or _processor(cpuinfo) or "unknown machine"
    return f"{board}, {platform.machine()}, onnxruntime {version('onnxruntime')}"


def _board(model: Path) -> str:
    try:
        return model.read_text("utf-8").strip("\0 \n")
    except (OSError, ValueError):
        return ""  # no device tree, so not such a board


def _processor(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model"}:
            return value.strip()
    return ""
