"""Clients that connect and send nothing do not keep others from being served."""

import resource
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from nestling.v1 import delivery_pb2, delivery_pb2_grpc
from nestling_core.enrolment_token import EnrolmentToken
from nestling_core.network.address import Address
from nestling_device.transport.identity import Identity
from tests.support import cloud_process, enrolled
from tests.support.cloud_process import Cloud
from tests.support.hand_bundle import hand_repository
from tests.support.processes import DEADLINE_S, until

FILES = 400
STRANGERS = 500
STALLED_CHANNELS = 4
STALLED_CALLS = 40


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Create the cloud's state folder."""
    folder = tmp_path / "cloud"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(params=["soft", "hard"])
def cloud(
    request: pytest.FixtureRequest, tmp_path: Path, state: Path, tiny_teacher: bytes
) -> Iterator[Cloud]:
    """Start a cloud with TLS under a low soft or hard limit of open files."""
    repository, log = tmp_path / "repository", tmp_path / "log"
    hand_repository(repository, tiny_teacher)
    store = state / "receipts.sqlite"
    command = cloud_process.command(
        repository, store, "--json", *enrolled.TLS, "--state", str(state)
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if request.param == "soft" else FILES
    limited = ["prlimit", f"--nofile={FILES}:{hard}", *command]
    with (
        log.open("w") as stderr,
        subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        yield cloud_process.start(process, store, log)
        process.kill()
    sys.stderr.write(log.read_text())


def connect(address: str) -> socket.socket:
    at = Address.parse(address)
    return socket.create_connection((at.host, at.port), timeout=DEADLINE_S)


def ended(stranger: socket.socket) -> bool:
    """Return whether the cloud has closed a connection; it may have sent data before."""
    stranger.setblocking(False)
    try:
        return stranger.recv(4096) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def enrols(cloud: Cloud, state: Path, folder: Path) -> bool:
    return enrolled.enrol(cloud.enrolment, enrolled.add(state, folder.name), folder).status == 0


def release_seen_by(identity: Identity, cloud: Cloud) -> int:
    with grpc.secure_channel(cloud.grpc, identity.channel_credentials()) as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        request = delivery_pb2.GetDesiredBundleRequest(device_id=identity.device_id)
        answer = stub.GetDesiredBundle(request, timeout=DEADLINE_S, wait_for_ready=True)
        return int(answer.release)


def test_half_open_connections_do_not_block_enrolment_and_delivery(
    cloud: Cloud, state: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        strangers = [
            stack.enter_context(connect(address))
            for address in (cloud.grpc, cloud.enrolment)
            for _ in range(STRANGERS // 2)
        ]

        until(lambda: enrols(cloud, state, tmp_path / "porch"))
        assert release_seen_by(Identity(tmp_path / "porch"), cloud) == 1
        until(lambda: all(ended(stranger) for stranger in strangers))

    assert cloud.process.poll() is None


def test_calls_without_a_request_do_not_block_enrolment(
    cloud: Cloud, state: Path, tmp_path: Path
) -> None:
    never = threading.Event()
    calls: list[grpc.Future[bytes]] = []  # a call without a reference is cancelled

    def nothing() -> Iterator[bytes]:
        never.wait()
        yield from ()

    authority = EnrolmentToken.from_text(enrolled.add(state, "stranger")).authority
    credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(authority).encode())
    with ExitStack() as stack:
        stack.callback(never.set)
        for number in range(STALLED_CHANNELS):
            options = [("grpc.use_local_subchannel_pool", 1), ("nestling.number", number)]
            channel = stack.enter_context(
                grpc.secure_channel(cloud.enrolment, credentials, options=options)
            )
            call: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
                "/nestling.v1.EnrolmentService/Enrol"
            )
            calls += [call.future(nothing()) for _ in range(STALLED_CALLS)]
            grpc.channel_ready_future(channel).result(DEADLINE_S)

        assert enrols(cloud, state, tmp_path / "porch")
