"""Devices reach the cloud by names and addresses of every kind, and report why they cannot."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import stopping
from nestling_device.telemetry.outbox import Outbox
from tests.support import cloud_process, enrolled
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import hand_repository
from tests.support.needs import MOSQUITTO
from tests.support.processes import until
from tests.support.skipping import needs, needs_ipv6

# libc resolves it to 127.0.0.1, as it resolves porch.local where mDNS is set up. gRPC's own
# resolver, c-ares, resolves neither.
LIBC_ONLY = "127.1"
TO_THE_CLOUD = ("--offload-share", "1", "--count", "10", "--interval", "0.01")
# Nobody listens there.
PROXY = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"), PROXY)


@pytest.fixture
def repository(tiny_teacher: bytes, tmp_path: Path) -> Path:
    hand_repository(tmp_path / "repository", tiny_teacher)
    return tmp_path / "repository"


@pytest.fixture
def start_cloud(repository: Path, tmp_path: Path) -> Iterator[StartCloud]:
    """Return a function that starts clouds over a hand-made release."""
    log = tmp_path / "cloud.log"
    state = tmp_path / "cloud"
    state.mkdir(mode=0o700)
    with ExitStack() as stack, log.open("a") as stderr:

        def start(*arguments: str) -> Cloud:
            command = cloud_process.command(
                repository, state / "receipts.sqlite", "--json", "--state", str(state), *arguments
            )
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return cloud_process.start(process, state / "receipts.sqlite", log)

        yield start
    sys.stderr.write(log.read_text())  # shown if the test failed


def every_connection_works(cloud: Cloud, tmp_path: Path) -> None:
    """Check enrolment, delivery, offloads, telemetry, doctor and renewal against a cloud."""
    porch = tmp_path / "porch"
    token = enrolled.add(tmp_path / "cloud", "porch")

    ended = enrolled.enrol(cloud.enrolment, token, porch)

    assert ended.status == 0, ended.stderr
    with DeviceProcess(porch, arguments=TO_THE_CLOUD) as device:
        assert device.end() == 0, device.stderr
    assert {answer["route"] for answer in device.answers} == {"cloud"}
    with Outbox(porch) as outbox:
        assert outbox.marks().acknowledged == outbox.marks().last == 10
    doctor = enrolled.run("device", "doctor", "--state", str(porch))
    assert doctor.status == 0, doctor.stdout
    renewed = enrolled.run("device", "enrol", "--renew", "--state", str(porch))
    assert renewed.status == 0, renewed.stderr


def test_name_that_only_libc_resolves_works_for_every_connection(
    start_cloud: StartCloud, tmp_path: Path
) -> None:
    cloud = start_cloud(*enrolled.TLS, "--public-host", LIBC_ONLY)
    assert cloud.enrolment.startswith(f"{LIBC_ONLY}:")

    every_connection_works(cloud, tmp_path)


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_address_works_for_every_connection_with_tls(
    start_cloud: StartCloud, tmp_path: Path, host: str
) -> None:
    cloud = start_cloud(*enrolled.TLS, "--host", host)
    assert cloud.grpc.startswith("[::1]:")
    assert str(cloud.broker).startswith("[::1]:")

    every_connection_works(cloud, tmp_path)


@needs_ipv6
def test_ipv6_wildcard_includes_ipv4_addresses(start_cloud: StartCloud, tmp_path: Path) -> None:
    cloud = start_cloud(*enrolled.TLS, "--host", "::", "--public-host", "127.0.0.1")

    every_connection_works(cloud, tmp_path)


@needs_ipv6
def test_ipv6_address_works_without_tls(start_cloud: StartCloud, tmp_path: Path) -> None:
    cloud = start_cloud("--host", "::1")
    assert cloud.grpc.startswith("[::1]:")

    with DeviceProcess(
        tmp_path / "d", cloud=cloud.grpc, broker=str(cloud.broker), arguments=TO_THE_CLOUD
    ) as device:
        assert device.end() == 0, device.stderr
    assert {answer["route"] for answer in device.answers} == {"cloud"}


def test_no_connection_of_a_device_goes_through_a_proxy(
    start_cloud: StartCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = start_cloud(*enrolled.TLS)
    for name, proxy in PROXIES.items():
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.upper(), proxy)

    every_connection_works(cloud, tmp_path)


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("no-such-host.invalid:8501", 1, "no address for no-such-host.invalid"),
        ("https://cloud.lan:8501", 2, "leave out https://"),
        ("cloud.lan:8501/", 2, "is not HOST:PORT"),
        ("::1:8501", 2, "[::1]:8501"),
    ],
)
def test_unusable_address_is_reported(
    tmp_path: Path, address: str, status: int, message: str
) -> None:
    token = enrolled.add(tmp_path / "cloud", "porch", "--cloud", "cloud.lan:8501")

    ended = enrolled.enrol(address, token, tmp_path / "porch")

    assert ended.status == status
    assert message in ended.stderr
    assert "certificate" not in ended.stderr


def test_inference_port_given_for_the_enrolment_port_is_reported(
    start_cloud: StartCloud, tmp_path: Path
) -> None:
    cloud = start_cloud(*enrolled.TLS)
    token = enrolled.add(tmp_path / "cloud", "porch")

    ended = enrolled.enrol(cloud.grpc, token, tmp_path / "porch")

    assert ended.status == 1
    assert "requires a client certificate" in ended.stderr


def test_port_without_tls_is_reported(start_cloud: StartCloud, tmp_path: Path) -> None:
    cloud = start_cloud()
    token = enrolled.add(tmp_path / "cloud", "porch", "--cloud", "cloud.lan:8501")

    ended = enrolled.enrol(cloud.grpc, token, tmp_path / "porch")

    assert ended.status == 1
    assert "does not speak TLS" in ended.stderr


@needs(MOSQUITTO)
def test_nonexistent_host_is_not_reported_as_a_taken_port(repository: Path, tmp_path: Path) -> None:
    arguments = ("--repository", str(repository), "--state", str(tmp_path / "cloud"))

    ended = enrolled.run("cloud", "serve", *arguments, "--host", "no-such-host.invalid")

    assert ended.status == 1
    assert "no address for no-such-host.invalid" in ended.stderr


def test_sighup_is_logged_and_leaves_the_device_running(
    start_cloud: StartCloud, tmp_path: Path
) -> None:
    cloud = start_cloud()
    with DeviceProcess(
        tmp_path / "d",
        cloud=cloud.grpc,
        broker=str(cloud.broker),
        arguments=("--interval", "0.01"),
    ) as device:
        device.take(3)
        os.kill(device.process.pid, signal.SIGHUP)
        until(lambda: "SIGHUP" in device.stderr)
        device.take(3)
        assert device.end(signal.SIGTERM) == 0


def test_devices_ended_during_their_first_download_end_at_once(
    start_cloud: StartCloud, tmp_path: Path
) -> None:
    cloud = start_cloud()

    stops = list(
        stopping.start_and_stop_many(
            cloud.grpc, str(cloud.broker), tmp_path, starts=5, at_once=2, seed=0
        )
    )

    assert [stop.status for stop in stops] == [0] * 5, stops
