"""Identifies this machine, because figures measured on one are not valid on another."""

import platform
from importlib.metadata import version
from pathlib import Path

from nestling_core.nest.bundle_files import Activations

_MODEL = Path("/proc/device-tree/model")
_CPUINFO = Path("/proc/cpuinfo")


def activations_of(architecture: str) -> Activations:
    """Return the activation type that the processor's kernels suit: int8 on ARM, else uint8.

    Args:
        architecture: the value of `platform.machine()`.
    """
    return "int8" if architecture.startswith(("aarch64", "arm")) else "uint8"


def machine_name(model: Path = _MODEL, cpuinfo: Path = _CPUINFO) -> str:
    """Return the board or processor, the architecture and the onnxruntime version on one line.

    Args:
        model: file with the board's name.
        cpuinfo: file with the processor's name, used without a board.
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
