import subprocess
from pathlib import Path

import pytest

from nestling_device.doctor import machine
from tests.support.checked_device import install, subject


@pytest.mark.parametrize("available", [None, 10**9, 500])
def test_memory_too_small_for_the_smallest_capacity_fails(
    tmp_path: Path, available: int | None
) -> None:
    install(tmp_path)

    found = machine.memory(subject(tmp_path), lambda: available)

    assert found.level == ("fail" if available == 500 else "ok")
    assert ("raise [budget] memory_kb" in found.advice) == (available == 500)


@pytest.mark.parametrize(
    ("bits", "level", "words"),
    [
        ("0x0", "ok", "never"),
        ("0x50000", "warn", "not now, but earlier since boot"),
        ("0x50005", "warn", "the voltage is too low, it is throttled"),
        ("nonsense", "ok", "no vcgencmd"),
    ],
)
def test_throttling_is_read_from_the_firmware_bits(
    tmp_path: Path, bits: str, level: str, words: str
) -> None:
    found = machine.throttling(subject(tmp_path), lambda: f"throttled={bits}\n")

    assert (found.level, words in found.found) == (level, True)


def test_throttling_without_vcgencmd_is_ok(tmp_path: Path) -> None:
    def ask() -> str:
        raise subprocess.CalledProcessError(1, "vcgencmd")

    assert machine.throttling(subject(tmp_path), ask).level == "ok"
