"""A cloud with TLS and its devices: real gRPC, a real Mosquitto, the commands that people run."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests import cloud_process, enrolled
from tests.cloud_process import Cloud
from tests.device_process import DeviceProcess
from tests.hand_bundle import hand_repository
from tests.processes import until

from nestling_cloud.telemetry.store import Store, store_url
from nestling_device.identity import Identity

StartCloud = Callable[..., Cloud]


@pytest.fixture
def start_cloud(tmp_path: Path, tiny_teacher: bytes) -> Iterator[StartCloud]:
    """Starts clouds with TLS over a hand-made release, and ends them afterwards."""
    log, repository = tmp_path / "cloud.log", tmp_path / "repository"
    hand_repository(repository, tiny_teacher)
    with ExitStack() as stack, log.open("a") as stderr:

        def start(*arguments: str, state: str = "cloud") -> Cloud:
            store = tmp_path / f"{state}.sqlite"
            command = cloud_process.command(
                repository, store, "--json", *enrolled.TLS, "--state", str(tmp_path / state),
                *arguments,
            )  # fmt: skip
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return cloud_process.start(process, store, log)

        yield start
    sys.stderr.write(log.read_text())  # shown if the test failed


@pytest.fixture
def cloud(start_cloud: StartCloud) -> Cloud:
    return start_cloud()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The cloud's state folder."""
    return tmp_path / "cloud"


def test_device_enrols_fetches_its_bundle_answers_and_is_stored_over_tls(
    cloud: Cloud, state: Path, tmp_path: Path
) -> None:
    token = enrolled.add(state, "porch")
    done = enrolled.enrol(cloud.enrolment, token, tmp_path / "porch")
    assert done.status == 0, done.stderr

    with DeviceProcess(
        tmp_path / "porch", arguments=("--count", "20", "--interval", "0.01", "--offload-share", "1")
    ) as device:
        assert device.end() == 0, device.stderr

    assert "cloud" in {answer["route"] for answer in device.answers}
    assert not device.stderr.count("not stored")
