from pathlib import Path

import pytest

from nestling_device.resources import available_memory_bytes, battery_charge


def test_available_memory_is_the_kernels_estimate(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  900 kB\nMemFree:  100 kB\nMemAvailable:  250 kB\n")

    assert available_memory_bytes(meminfo) == 250 * 1024


@pytest.mark.parametrize("text", [None, "", "MemTotal:  900 kB\n"])
def test_available_memory_is_unknown_where_the_kernel_does_not_say(
    tmp_path: Path, text: str | None
) -> None:
    meminfo = tmp_path / "meminfo"
    if text is not None:
        meminfo.write_text(text)

    assert available_memory_bytes(meminfo) is None


def test_this_machine_has_memory_left() -> None:
    assert available_memory_bytes() != 0


def supply(folder: Path, name: str, capacity: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "capacity").write_text(capacity)


def test_battery_is_a_share(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "42\n")

    assert battery_charge(tmp_path) == pytest.approx(0.42)


@pytest.mark.parametrize(("text", "charge"), [("120", 1.0), ("-5", 0.0)])
def test_charge_stays_between_nothing_and_all(tmp_path: Path, text: str, charge: float) -> None:
    supply(tmp_path, "BAT0", text)

    assert charge == battery_charge(tmp_path)


def test_gauge_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "unknown")
    supply(tmp_path, "BAT1", "50")

    assert battery_charge(tmp_path) == pytest.approx(0.5)


def test_mains_power_is_a_full_battery(tmp_path: Path) -> None:
    assert battery_charge(tmp_path) == battery_charge(tmp_path / "none") == 1.0
