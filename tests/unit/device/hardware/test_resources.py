from pathlib import Path

import pytest

from nestling_device.hardware.resources import available_memory_bytes, battery_charge


def test_available_memory_is_the_kernels_estimate(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  900 kB\nMemFree:  100 kB\nMemAvailable:  250 kB\n")

    assert available_memory_bytes(meminfo) == 250 * 1024


@pytest.mark.parametrize("text", [None, "", "MemTotal:  900 kB\n"])
def test_available_memory_is_none_if_the_kernel_does_not_report_it(
    tmp_path: Path, text: str | None
) -> None:
    meminfo = tmp_path / "meminfo"
    if text is not None:
        meminfo.write_text(text)

    assert available_memory_bytes(meminfo) is None


def test_available_memory_of_this_machine_is_not_zero() -> None:
    assert available_memory_bytes() != 0


def supply(folder: Path, name: str, capacity: str | None = None, **files: object) -> None:
    """Create a power supply as the kernel lists it: a folder with a file per property."""
    (folder / name).mkdir(parents=True)
    for key, value in {"type": "Battery", "capacity": capacity, **files}.items():
        if value is not None:
            (folder / name / key).write_text(f"{value}\n")


def test_battery_charge_is_a_fraction(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "42\n")

    assert battery_charge(tmp_path) == pytest.approx(0.42)


@pytest.mark.parametrize(("text", "charge"), [("120", 1.0), ("-5", 0.0)])
def test_battery_charge_is_clipped_to_0_to_1(tmp_path: Path, text: str, charge: float) -> None:
    supply(tmp_path, "BAT0", text)

    assert charge == battery_charge(tmp_path)


def test_unreadable_battery_is_ignored(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "unknown")
    supply(tmp_path, "BAT1", "50")

    assert battery_charge(tmp_path) == pytest.approx(0.5)


def test_machine_without_power_supplies_counts_as_full(tmp_path: Path) -> None:
    assert battery_charge(tmp_path) == battery_charge(tmp_path / "none") == 1.0


def test_battery_of_a_peripheral_is_ignored(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "80", scope="System")
    supply(tmp_path, "A-hidpp_battery_0", "5", scope="Device")

    assert battery_charge(tmp_path) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "other",
    [{"type": "Mains"}, {"type": "USB"}, {"scope": "Device"}, {"present": 0}],
    ids=["mains", "charger", "keyboard", "empty bay"],
)
def test_machine_without_its_own_battery_counts_as_full(
    tmp_path: Path, other: dict[str, object]
) -> None:
    supply(tmp_path, "AAA", "5", **other)

    assert battery_charge(tmp_path) == 1.0


def test_two_batteries_are_weighted_by_their_full_energy(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "100", energy_full=10_000_000)
    supply(tmp_path, "BAT1", "20", energy_full=30_000_000)

    assert battery_charge(tmp_path) == pytest.approx(0.4)


def test_batteries_are_weighted_equally_if_one_has_no_full_energy(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "100", energy_full=10_000_000)
    supply(tmp_path, "BAT1", "20")

    assert battery_charge(tmp_path) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("files", "charge"),
    [
        ({"energy_now": 1, "energy_full": 4}, 0.25),
        ({"charge_now": 3, "charge_full": 4}, 0.75),
        ({"energy_now": 0, "energy_full": 4}, 0.0),
        ({"energy_now": 1, "energy_full": 0}, 1.0),  # charge unknown
    ],
)
def test_battery_without_a_percentage_uses_its_energy_or_charge(
    tmp_path: Path, files: dict[str, object], charge: float
) -> None:
    supply(tmp_path, "BAT0", None, **files)

    assert battery_charge(tmp_path) == pytest.approx(charge)


def test_battery_named_in_the_configuration_is_used(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", "80")
    supply(tmp_path, "pisugar", "30", type="Unknown")

    assert battery_charge(tmp_path, "pisugar") == pytest.approx(0.3)
