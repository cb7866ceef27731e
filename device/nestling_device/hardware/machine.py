"""Which machine this is: figures measured on one count for nothing on another."""

import platform
from importlib.metadata import version
from pathlib import Path

from nestling_core.nest.bundle_files import Activations

_MODEL = Path("/proc/device-tree/model")
_CPUINFO = Path("/proc/cpuinfo")


def activations_of(architecture: str) -> Activations:
    """Integers that a processor's kernels are made for: unsigned on x86, signed on ARM.

    Args:
        architecture: as `platform.machine()` names it.
    """
    return "int8" if architecture.startswith(("aarch64", "arm")) else "uint8"


def machine_name(model: Path = _MODEL, cpuinfo: Path = _CPUINFO) -> str:
    """Name board, architecture and the runtime that computes, on one line."""
    board = _board(model) or _processor(cpuinfo) or "unknown machine"
    return f"{board}, {platform.machine()}, onnxruntime {version('onnxruntime')}"


def _board(model: Path) -> str:
    try:
        return model.read_text("utf-8").strip("\0 \n")
    except (OSError, ValueError):
        return ""  # not a board with a device tree


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
