import dataclasses
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Calibration
from nestling.v1.receipt_pb2 import Receipt
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_core.routing.admission import offload_bytes
from nestling_device.bundle.self_test import self_test
from nestling_device.config.schema import Config, with_values
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import Installer
from nestling_device.doctor import equipment, limits, machine, state
from nestling_device.doctor.finding import (
    Check,
    CheckedDevice,
    FailedCheckError,
    Finding,
    failing,
)
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.offload_energy import offload_mj
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.errors import DeviceError
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from nestling_device.transport.identity import Identity, save_identity
from tests.support.enrolled import papers
from tests.support.hand_bundle import EASY, MACS, SHAPE, hand_bundle, larger_runs
from tests.support.memory_source import MemorySource

_BOARD = Config().board
_METER = ProfileMeter(load_board(_BOARD.profile), load_link(_BOARD.link))
CAPACITY_MJ = tuple(_METER.estimate(macs).energy_mj for macs in MACS)


def subject(folder: Path, identity: Identity | None = None, **keys: object) -> CheckedDevice:
    """Return a device with its state in a folder; configuration keys are written table__key."""
    values = {tuple(name.split("__")): value for name, value in keys.items()}
    config = with_values(
        Config(), {("device", "state"): str(folder)} | {(t, k): v for (t, k), v in values.items()}
    )
    return CheckedDevice(config=config, identity=identity, running=False, activations="uint8")


def finding(check: Check, checked: CheckedDevice) -> Finding:
    try:
        return check(checked)
    except FailedCheckError as err:
        return err.finding


def install(folder: Path, **replaced: bytes) -> None:
    source = MemorySource()
    manifest, blobs = hand_bundle(1, **replaced)
    source.release(manifest, dict(blobs))
    with State(folder) as opened:
        Installer(opened, BlobStore(folder / "blobs"), source, self_test, "uint8").install(10**6)


def test_battery_missing_fails(tmp_path: Path) -> None:
    found = equipment.battery(subject(tmp_path, board__battery="BAT7"), tmp_path)

    assert (found.level, "BAT7" in found.found) == ("fail", True)


def test_battery_reports_its_charge(tmp_path: Path) -> None:
    (tmp_path / "BAT0").mkdir()
    (tmp_path / "BAT0" / "type").write_text("Battery\n")
    (tmp_path / "BAT0" / "capacity").write_text("42\n")

    assert "42%" in equipment.battery(subject(tmp_path), tmp_path).found


def test_failed_check_reports_an_errors_problem_and_advice() -> None:
    with pytest.raises(FailedCheckError) as caught, failing("disk"):
        raise DeviceError("a; b", advice="do this")

    assert (caught.value.finding.found, caught.value.finding.advice) == ("a; b", "do this")
    assert str(caught.value) == "a; b; do this"


@pytest.mark.parametrize("available", [None, 10**9, 500])
def test_memory_too_small_for_the_smallest_capacity_fails(
    tmp_path: Path, available: int | None
) -> None:
    install(tmp_path)

    found = machine.memory(subject(tmp_path), lambda: available)

    assert found.level == ("fail" if available == 500 else "ok")
    assert ("raise [budget] memory_kb" in found.advice) == (available == 500)


@pytest.mark.parametrize(
    ("link", "energy_mj", "level"),
    [("wifi", 1000, "ok"), ("lte", 1000, "warn"), ("lte", 20_000, "ok")],
)
def test_offload_over_the_limits_warns(
    tmp_path: Path, link: str, energy_mj: float, level: str
) -> None:
    before = finding(limits.offload, subject(tmp_path, board__link=link))
    install(tmp_path)
    checked = subject(tmp_path, board__link=link, budget__energy_mj=energy_mj)

    found = finding(limits.offload, checked)

    assert (before.level, found.level) == ("ok", level)
    assert f"one input over {link}: " in found.found
    assert ("nothing is ever sent" in found.found) == (level == "warn")


def test_offload_over_the_limits_after_the_device_run_warns(tmp_path: Path) -> None:
    install(tmp_path)
    radio_mj = offload_mj(load_link("wifi"), offload_bytes(SHAPE), load_link("wifi").mbit_s)

    found = finding(limits.offload, subject(tmp_path, budget__energy_mj=radio_mj * 1.001))

    assert found.level == "warn"
    assert "mJ are needed and" in found.found


def test_offload_names_the_capacities_after_which_it_exceeds_a_limit(
    tmp_path: Path,
) -> None:
    install(tmp_path, calibration=larger_runs())
    radio_mj = offload_mj(load_link("wifi"), offload_bytes(SHAPE), load_link("wifi").mbit_s)
    both_mj = CAPACITY_MJ[0] + CAPACITY_MJ[2]

    found = [
        finding(limits.offload, subject(tmp_path, budget__energy_mj=radio_mj + own_mj)).found
        for own_mj in (CAPACITY_MJ[0] / 2, both_mj - radio_mj / 2, both_mj * 1.001)
    ]

    assert "after capacity 1, " in found[0]
    assert "nothing is ever sent" in found[0]
    assert "after capacity 1 and 3, " in found[1]
    assert "after capacity" not in found[2]


def test_offload_without_a_device_run_is_ok_at_share_1(tmp_path: Path) -> None:
    install(tmp_path)
    radio_mj = offload_mj(load_link("wifi"), offload_bytes(SHAPE), load_link("wifi").mbit_s)
    keys = {"budget__energy_mj": radio_mj * 1.000001, "budget__offload_share": 1.0}

    assert finding(limits.offload, subject(tmp_path, None, **keys)).level == "ok"


def test_targets_uses_the_mean_cost_of_a_cascade(tmp_path: Path) -> None:
    install(tmp_path, calibration=larger_runs())
    keys = {"budget__energy_per_input_mj": sum(CAPACITY_MJ[:2]) / 2}

    assert finding(limits.targets, subject(tmp_path, None, **keys)).level == "ok"


def test_targets_uses_the_certified_risks_of_a_cascade(tmp_path: Path) -> None:
    calibration = Calibration.FromString(larger_runs())
    calibration.cascades[2].curve.certified.add(risk=0.1, gate_threshold=0.5, accept_threshold=0.5)
    install(tmp_path, calibration=calibration.SerializeToString())

    found = finding(limits.targets, subject(tmp_path, None, budget__tolerated_risk=0.1))

    assert found.level == "ok"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "can be met"),
        ({"budget__memory_kb": 0.5}, "1,000 bytes are needed and 500 bytes allowed"),
        ({"budget__latency_ms": 1e-3}, "the latency limit admits no capacity"),
        ({"budget__tolerated_risk": 0.1}, "does not certify a tolerated risk of 0.1"),
        ({"budget__energy_per_input_mj": 1e-6}, "the target of 1e-06 mJ"),
        ({"budget__latency_per_input_ms": 1e-6}, "the target of 1e-06 ms"),
    ],
)
def test_targets_that_cannot_be_met_are_named_with_their_figures(
    tmp_path: Path, keys: dict[str, Any], words: str
) -> None:
    before = finding(limits.targets, subject(tmp_path, None, **keys))
    install(tmp_path)

    found = finding(limits.targets, subject(tmp_path, None, **keys))

    assert (before.level, found.level) == ("ok", "warn" if keys else "ok")
    assert words in found.found


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


def test_writable_state_folder_is_ok_and_not_changed(tmp_path: Path) -> None:
    assert state.folder(subject(tmp_path)).level == "ok"
    assert state.folder(subject(tmp_path / "missing")).level == "ok"
    assert list(tmp_path.iterdir()) == []


def test_state_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert state.folder(subject(tmp_path / "file")).level == "fail"


def test_unwritable_state_folder_fails(tmp_path: Path) -> None:
    found = state.folder(subject(Path("/proc")))

    assert found.level == "fail"
    assert "cannot be written" in found.found


def test_identity_is_compared_with_the_clock(tmp_path: Path) -> None:
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        held = save_identity(tmp_path / "porch", papers(enrolment, "porch"))
    day = timedelta(days=1)
    moments = [held.begins - day, held.begins + day, held.ends - day, held.ends + day]

    found = [state.identity(subject(tmp_path / "porch", held), moment) for moment in moments]

    assert [one.level for one in found] == ["fail", "ok", "warn", "fail"]
    assert "timedatectl" in found[0].advice
    assert "--renew" in found[2].advice
    assert "new token" in found[3].advice


def test_identity_missing_warns_with_advice(tmp_path: Path) -> None:
    found = state.identity(subject(tmp_path))

    assert (found.level, "run nestling-device enrol" in found.advice) == ("warn", True)


def test_sound_bundle_is_ok(tmp_path: Path) -> None:
    install(tmp_path)

    found = finding(state.bundle, subject(tmp_path))

    assert found.level == "ok"
    assert "capacities 1 to 3" in found.found


def test_damaged_bundle_fails_with_advice(tmp_path: Path) -> None:
    install(tmp_path)
    ring = hand_bundle()[0].capacities[1].ring
    (tmp_path / "blobs" / ring.sha256).write_bytes(b"rust")

    found = finding(state.bundle, subject(tmp_path))

    assert (found.level, found.advice) == ("fail", "install the bundle again")


def test_bundle_missing_warns(tmp_path: Path) -> None:
    assert finding(state.bundle, subject(tmp_path)).level == "warn"
    assert finding(state.outbox, subject(tmp_path)).level == "ok"


def test_outbox_counts_dropped_receipts(tmp_path: Path) -> None:
    with Outbox(tmp_path, capacity=3) as outbox:
        for _ in range(5):
            outbox.append(Receipt())

    found = finding(state.outbox, subject(tmp_path))

    assert found.level == "warn"
    assert "2 unacknowledged receipts were dropped" in found.found


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
