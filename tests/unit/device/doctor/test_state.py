from datetime import timedelta
from pathlib import Path

from nestling.v1.receipt_pb2 import Receipt
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_device.doctor import state
from nestling_device.telemetry.outbox import Outbox
from nestling_device.transport.identity import save_identity
from tests.support.checked_device import finding, install, subject
from tests.support.enrolled import papers
from tests.support.hand_bundle import hand_bundle


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
