"""Checks the machine on which the device runs.

The checks concern Python, onnxruntime, the memory, the temperature and the voltage.
"""

import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from nestling_device.doctor.finding import CheckedDevice, Finding, failing
from nestling_device.hardware.resources import available_memory_bytes
from nestling_device.storage.snapshot import read_bundle

# Bits of vcgencmd get_throttled, from the Raspberry Pi documentation.
_NOW = {0x1: "the voltage is too low", 0x2: "the clock is capped", 0x4: "it is throttled"}
_SINCE_START = 0x70000
_TIMEOUT_S = 5.0


def python(subject: CheckedDevice) -> Finding:
    """Return a finding that states the versions of Python, onnxruntime and numpy."""
    del subject
    found = (
        f"Python {platform.python_version()}, onnxruntime {version('onnxruntime')}, numpy "
        f"{np.__version__}, {platform.machine()}"
    )
    return Finding(check="python", level="ok", found=found)


def memory(
    subject: CheckedDevice, probe: Callable[[], int | None] = available_memory_bytes
) -> Finding:
    """Return a finding that says whether the smallest capacity fits into memory.

    Both the available memory and the memory budget must admit the capacity. If the available memory
    is not known, nothing is compared, and the level of the finding is "ok".

    Args:
        subject: the device to check.
        probe: the function that returns the available memory in bytes, or None if it is not known.
    """
    available = probe()
    if available is None:
        return Finding(
            check="memory", level="ok", found="the kernel does not report the available memory"
        )
    allowed = min(available, int(subject.config.budget.memory_kb * 1000))
    needed = _smallest(subject)
    found = f"{available / 1e6:.0f} MB available, {allowed / 1e3:.0f} kB for the student"
    if needed is None or needed <= allowed:
        return Finding(check="memory", level="ok", found=found)
    return Finding(
        check="memory",
        level="fail",
        found=f"{found}; the smallest capacity needs {needed / 1e3:.1f} kB",
        advice="raise [budget] memory_kb, or end another program on this machine",
    )


def _smallest(subject: CheckedDevice) -> int | None:
    with failing("memory"):
        bundle = read_bundle(subject.state_dir)
        if bundle is None:
            return None
        return subject.manifest(bundle).capacities[0].memory_bytes


def throttling(subject: CheckedDevice, ask: Callable[[], str] | None = None) -> Finding:
    """Return a finding that says whether a Raspberry Pi has been throttled since it booted.

    The cause of throttling is heat or a weak power supply. If the machine has no vcgencmd,
    throttling cannot be detected, and the level of the finding is "ok".

    Args:
        subject: the device to check.
        ask: the function that returns the output of `vcgencmd get_throttled` (default: a function
            that runs vcgencmd).
    """
    del subject
    try:
        text = (ask or _get_throttled)()
        bits = int(text.strip().removeprefix("throttled="), 16)
    except (OSError, subprocess.SubprocessError, ValueError):
        return Finding(
            check="throttling", level="ok", found="unknown: this machine has no vcgencmd"
        )
    now = [text for bit, text in _NOW.items() if bits & bit]
    if now:
        found = ", ".join(now)
    elif bits & _SINCE_START:
        found = "not now, but earlier since boot"
    else:
        return Finding(check="throttling", level="ok", found="never since boot")
    return Finding(
        check="throttling",
        level="warn",
        found=found,
        advice="use the power supply made for this board, and cool it; latencies are not typical",
    )


def _get_throttled() -> str:
    return subprocess.run(
        ["vcgencmd", "get_throttled"],  # noqa: S607 - its path differs between systems
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_S,
    ).stdout
