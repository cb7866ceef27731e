import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nestling_device.doctor import equipment
from tests.support.checked_device import finding, install, subject
from tests.support.hand_bundle import EASY


def test_battery_missing_fails(tmp_path: Path) -> None:
    found = equipment.battery(subject(tmp_path, board__battery="BAT7"), tmp_path)

    assert (found.level, "BAT7" in found.found) == ("fail", True)


def test_battery_reports_its_charge(tmp_path: Path) -> None:
    (tmp_path / "BAT0").mkdir()
    (tmp_path / "BAT0" / "type").write_text("Battery\n")
    (tmp_path / "BAT0" / "capacity").write_text("42\n")

    assert "42%" in equipment.battery(subject(tmp_path), tmp_path).found


def test_meter_missing_warns_because_the_device_runs_without_it(tmp_path: Path) -> None:
    found = finding(equipment.meter, subject(tmp_path, meter__kind="ina219", meter__i2c_bus=250))

    assert found.level == "warn"
    assert found.advice


@pytest.mark.parametrize("kind", ["golden", "folder", "socket"])
def test_source_with_an_existing_folder_is_ok(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path if kind == "folder" else tmp_path / "inputs")

    assert finding(
        equipment.source, subject(tmp_path, source__kind=kind, source__path=path)
    ).level == ("ok")


@pytest.mark.parametrize("kind", ["folder", "socket"])
def test_source_in_a_missing_folder_fails(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "none" / "inputs")
    found = finding(equipment.source, subject(tmp_path, source__kind=kind, source__path=path))

    assert (found.level, "create it" in found.advice) == ("fail", True)


def test_source_without_a_path_fails_and_names_the_key(tmp_path: Path) -> None:
    found = finding(equipment.source, subject(tmp_path, source__kind="recording"))

    assert (found.level, found.advice) == ("fail", "give [source] path")


def test_recording_is_checked_against_the_installed_bundle(tmp_path: Path) -> None:
    install(tmp_path)
    np.save(tmp_path / "right.npy", EASY[None])
    np.save(tmp_path / "wrong.npy", EASY)
    found = [
        finding(
            equipment.source,
            subject(tmp_path, source__kind="recording", source__path=str(tmp_path / name)),
        )
        for name in ("right.npy", "wrong.npy")
    ]

    assert [one.level for one in found] == ["ok", "fail"]
    assert "1 windows" in found[0].found


def test_sensor_used_by_the_running_device_is_not_opened(tmp_path: Path) -> None:
    busy = dataclasses.replace(subject(tmp_path, source__kind="imu"), running=True)

    assert equipment.source(busy).level == "ok"


@pytest.mark.parametrize("kind", ["camera", "imu"])
def test_missing_sensor_fails(tmp_path: Path, kind: str) -> None:
    found = finding(equipment.source, subject(tmp_path, source__kind=kind, source__i2c_bus=250))

    assert found.level == "fail"
    assert found.found
