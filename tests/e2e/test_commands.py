"""A running device follows the cloud's targets and releases, which arrive over the broker."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.control.targets import Targets
from nestling_cloud.store.hard_inputs import HardInputs
from nestling_cloud.store.store import Store, store_url
from tests.support.cloud_process import StartCloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import hand_release, hand_repository
from tests.support.processes import until

DEVICE = "device-1"


@pytest.fixture
def released(tmp_path: Path, tiny_teacher: bytes) -> Path:
    folder = tmp_path / "repository"
    hand_repository(folder, tiny_teacher)
    return folder


class Fleet:
    """A cloud with one running device, and access to the cloud's store."""

    def __init__(self, device: DeviceProcess, store: Store) -> None:
        self.device = device
        self.store = store
        self.targets = Targets(store)

    def target(self, share: float | None, *, device: str | None = DEVICE) -> None:
        self.targets.set(device, share, set_by="test")


@pytest.fixture
def fleet(start_cloud: StartCloud, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        cloud = start_cloud()
        device = DeviceProcess(
            tmp_path / "device",
            cloud=cloud.grpc,
            broker=str(cloud.broker),
            arguments=("--interval", "0.02", "--offload-share", "0"),
        )
        store = stack.enter_context(Store(store_url(str(cloud.store))))
        yield Fleet(stack.enter_context(device), store)


def test_target_changes_a_running_devices_routes_until_it_is_removed(
    fleet: Fleet,
) -> None:
    before = {answer["route"] for answer in fleet.device.take(12)}

    fleet.target(1.0)
    fleet.device.take_until("gated")
    during = {answer["route"] for answer in fleet.device.take(12)}
    fleet.target(None)
    fleet.device.take_until("accepted")
    after = {answer["route"] for answer in fleet.device.take(12)}

    assert "cloud" not in before
    assert during == {"cloud"}
    assert "cloud" not in after


def test_fleet_target_applies_to_a_device_without_its_own(fleet: Fleet) -> None:
    fleet.device.take(1)

    fleet.target(1.0, device=None)
    fleet.device.take_until("gated")
    fleet.target(0.0)
    fleet.device.take_until("accepted")


def test_hard_inputs_are_stored_with_both_answers(fleet: Fleet) -> None:
    fleet.target(1.0)
    fleet.device.take_until("gated")
    fleet.target(0.5)
    fleet.device.take_until("escalated")

    # A target of 1 runs no student; escalated inputs have an answer of the device.
    until(lambda: answered(fleet.store) == {False, True})


def answered(store: Store) -> set[bool]:
    """Check the stored inputs, and return whether they have a device's answer, as a set."""
    kept = HardInputs(store).latest(DEVICE)
    assert all(one.shape == (2, 3) and 0 <= one.cloud_answer.code < 4 for one in kept)
    return {one.device_answer is not None for one in kept}


def test_running_device_installs_a_release_without_missing_an_input(
    fleet: Fleet, released: Path
) -> None:
    first = fleet.device.take(3)[0]["bundle"]

    version = hand_release(Repository(released), release=2)
    answers = fleet.device.take(1)
    while answers[-1]["bundle"] != version:
        answers += fleet.device.take(1)
        assert len(answers) < 2000

    assert first != version
    inputs = [answer["input"] for answer in answers]
    assert inputs == list(range(inputs[0], inputs[0] + len(inputs)))
    assert {answer["bundle"] for answer in fleet.device.take(5)} == {version}
    installed = {"event": "bundle", "bundle": version, "capacities": 3}
    assert [event for event in fleet.device.events if event["event"] == "bundle"] == [installed]
    assert f"runs {version}, capacities 1 to 3" in fleet.device.stderr
