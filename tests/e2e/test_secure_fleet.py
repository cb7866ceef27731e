"""A cloud with TLS and its devices, with real gRPC, a real Mosquitto and the real commands."""

import dataclasses
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest

from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling.v1 import delivery_pb2, delivery_pb2_grpc, enrolment_pb2, enrolment_pb2_grpc
from nestling_cloud.fleet.authority import Authority
from nestling_cloud.fleet.broker_config import BrokerFolder
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_cloud.fleet.roster import Roster
from nestling_cloud.fleet.roster_database import RosterDatabase
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.metrics.views import DeviceRow
from nestling_cloud.store.store import Store, store_url
from nestling_core.enrolment_token import EnrolmentToken
from nestling_core.network.address import Address
from nestling_device.enrolment.enrol import _pending_key
from nestling_device.inference.grpc_offloader import GrpcOffloader
from nestling_device.inference.offloader import OffloadRequest
from nestling_device.transport.identity import Identity, save_identity
from tests.support import cloud_process, enrolled
from tests.support.cloud_process import Cloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import hand_repository
from tests.support.processes import DEADLINE_S, until
from tests.support.wire import manifest_with

QUICK = ("--count", "10", "--interval", "0.01")
ZEROS = OffloadRequest(window=np.zeros((2, 3), np.float32), index=0, device_answer=None)
ALL_TO_THE_CLOUD = ("--offload-share", "1")

StartCloud = Callable[..., Cloud]


@pytest.fixture(scope="module")
def start_cloud(
    tmp_path_factory: pytest.TempPathFactory, tiny_teacher: bytes
) -> Iterator[StartCloud]:
    """Return a function that starts clouds with TLS over a hand-made release."""
    folder = tmp_path_factory.mktemp("clouds")
    log, repository = folder / "cloud.log", folder / "repository"
    hand_repository(repository, tiny_teacher)
    with ExitStack() as stack, log.open("a") as stderr:

        def start(*arguments: str, state: str) -> Cloud:
            store = folder / state / "receipts.sqlite"
            store.parent.mkdir(mode=0o700, exist_ok=True)
            command = cloud_process.command(
                repository, store, "--json", *enrolled.TLS, "--state", str(store.parent), *arguments
            )
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return cloud_process.start(process, store, log)

        yield start
    sys.stderr.write(log.read_text())  # shown if the last test failed


@pytest.fixture(scope="module")
def cloud(start_cloud: StartCloud) -> Cloud:
    """Start one cloud for all tests; each test has its own device."""
    return start_cloud(state="cloud")


@pytest.fixture(scope="module")
def liar(start_cloud: StartCloud) -> Cloud:
    """Start a cloud with another authority, which poses as the first one."""
    return start_cloud(state="liar")


@pytest.fixture
def state(cloud: Cloud) -> Path:
    """Return the cloud's state folder."""
    return cloud.store.parent


@pytest.fixture
def name(tmp_path: Path) -> str:
    """Return a device name that no other test uses."""
    return tmp_path.name


@pytest.fixture
def porch(cloud: Cloud, state: Path, tmp_path: Path, name: str) -> Identity:
    """Enrol a device."""
    return enrol(cloud, state, tmp_path / name)


def enrol(cloud: Cloud, state: Path, folder: Path) -> Identity:
    """Enrol a device that is named after its folder."""
    done = enrolled.enrol(cloud.enrolment, enrolled.add(state, folder.name), folder)
    assert done.status == 0, done.stderr
    return Identity(folder)


@contextmanager
def channel(identity: Identity | None, cloud: Cloud, state: Path) -> Iterator[grpc.Channel]:
    """Open a gRPC channel; without an identity, it has no client certificate."""
    authority = (state / "authority" / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(authority)
    if identity is not None:
        credentials = identity.channel_credentials()
    with grpc.secure_channel(cloud.grpc, credentials) as connection:
        yield connection


def outcomes(connection: grpc.Channel, name: str) -> set[grpc.StatusCode]:
    """Return the status codes of methods that name the calling device."""
    infer = inference_pb2.ModelInferRequest(model_name="hand-teacher")
    infer.parameters["device_id"].string_param = name
    infer.inputs.add(name="input", datatype="FP32", shape=[1, 2, 3])
    infer.raw_input_contents.append(bytes(24))
    inference = inference_pb2_grpc.GRPCInferenceServiceStub(connection)
    delivery = delivery_pb2_grpc.DeliveryServiceStub(connection)
    return {
        _code(lambda: inference.ModelInfer(infer, timeout=DEADLINE_S)),
        _code(
            lambda: delivery.GetDesiredBundle(
                delivery_pb2.GetDesiredBundleRequest(device_id=name), timeout=DEADLINE_S
            )
        ),
    }


def anonymous_outcomes(connection: grpc.Channel) -> set[grpc.StatusCode]:
    """Return the status codes of methods that do not name the calling device."""
    inference = inference_pb2_grpc.GRPCInferenceServiceStub(connection)
    delivery = delivery_pb2_grpc.DeliveryServiceStub(connection)
    renewal = enrolment_pb2_grpc.RenewalServiceStub(connection)
    blob = delivery_pb2.FetchBlobRequest(sha256="0" * 64)
    return {
        _code(lambda: inference.ServerLive(inference_pb2.ServerLiveRequest(), timeout=DEADLINE_S)),
        _code(lambda: list(delivery.FetchBlob(blob, timeout=DEADLINE_S))),
        _code(lambda: renewal.Renew(enrolment_pb2.RenewRequest(), timeout=DEADLINE_S)),
    }


def _code(call: Callable[[], object]) -> grpc.StatusCode:
    try:
        call()
    except grpc.RpcError as err:
        code: grpc.StatusCode = err.code()
        return code
    return grpc.StatusCode.OK


def stored(cloud: Cloud, device: str) -> int:
    with Store(store_url(str(cloud.store))) as store:
        return len(list(store.receipts(device)))


def test_enrolment_delivery_offloads_and_telemetry_work_over_tls(
    cloud: Cloud, porch: Identity, name: str
) -> None:
    with DeviceProcess(porch.state_dir, arguments=(*QUICK, *ALL_TO_THE_CLOUD)) as device:
        assert device.end() == 0, device.stderr

    assert {answer["route"] for answer in device.answers} == {"cloud"}
    assert stored(cloud, name) == len(device.answers)
    assert porch.device_id == name


def test_device_gets_its_bundle_over_mqtt_with_tls(
    cloud: Cloud, porch: Identity, name: str
) -> None:
    arguments = (*QUICK, "--delivery", "mqtt")
    with DeviceProcess(porch.state_dir, arguments=arguments) as device:
        assert device.end() == 0, device.stderr

    assert stored(cloud, name) == len(device.answers)


def test_key_stays_on_the_device_and_private_files_are_private(
    cloud: Cloud, porch: Identity, state: Path
) -> None:
    folders = (state / "authority", state / "broker", porch.state_dir / "identity")
    files = [path for folder in folders for path in folder.iterdir()]
    key = porch.credentials.key.splitlines()[1].encode()

    assert {stat.filemode(path.stat().st_mode) for path in files} == {"-rw-------"}
    assert {stat.filemode(folder.stat().st_mode) for folder in folders} == {"drwx------"}
    assert [path.name for path in files if key in path.read_bytes()] == ["key.pem"]


def test_client_without_a_certificate_may_only_enrol(cloud: Cloud, state: Path, name: str) -> None:
    with channel(None, cloud, state) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.UNAVAILABLE}
        assert anonymous_outcomes(connection) == {grpc.StatusCode.UNAVAILABLE}

    with channel(None, dataclasses.replace(cloud, grpc=cloud.enrolment), state) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.UNIMPLEMENTED}
        assert anonymous_outcomes(connection) == {grpc.StatusCode.UNIMPLEMENTED}
        stub = enrolment_pb2_grpc.EnrolmentServiceStub(connection)
        request = enrolment_pb2.EnrolRequest(secret=b"guess")
        assert _code(lambda: stub.Enrol(request, timeout=DEADLINE_S)) in {
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.PERMISSION_DENIED,
        }


def test_device_may_call_only_in_its_own_name(
    cloud: Cloud, porch: Identity, state: Path, name: str
) -> None:
    with channel(porch, cloud, state) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.OK}
        assert outcomes(connection, "attic") == {grpc.StatusCode.PERMISSION_DENIED}


def test_certificate_of_another_authority_is_rejected(
    cloud: Cloud, state: Path, tmp_path: Path, name: str
) -> None:
    with Enrolment.open(tmp_path / "other") as other:
        papers = enrolled.papers(other, name)
    authority = (state / "authority" / "ca.pem").read_bytes()
    spy = grpc.ssl_channel_credentials(authority, papers.key.encode(), papers.certificate.encode())

    with grpc.secure_channel(cloud.grpc, spy) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.UNAVAILABLE}


def test_removed_device_is_rejected_from_its_next_call_on(
    cloud: Cloud, porch: Identity, state: Path, name: str
) -> None:
    with channel(porch, cloud, state) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.OK}
        enrolled.remove(state, name)
        assert outcomes(connection, name) == {grpc.StatusCode.UNAUTHENTICATED}
        assert anonymous_outcomes(connection) == {grpc.StatusCode.UNAUTHENTICATED}


def test_removed_device_keeps_answering_but_its_receipts_are_not_stored(
    cloud: Cloud, porch: Identity, state: Path, name: str
) -> None:
    arguments = ("--interval", "0.01", *ALL_TO_THE_CLOUD)
    with (
        Store(store_url(str(cloud.store))) as store,
        DeviceProcess(porch.state_dir, arguments=arguments) as device,
    ):
        device.take(3)
        until(lambda: stored(cloud, name) >= 3)
        enrolled.remove(state, name)
        device.take_until("bad_answer")
        until(lambda: not shown(store, name).online)  # the broker has disconnected it too
        while len(device.answers) < stored(cloud, name) + 20:  # many may have waited in the pipe
            device.take(1)
        assert device.end(signal.SIGTERM) == 0

    assert "not stored in the cloud yet" in device.stderr
    assert stored(cloud, name) < len(device.answers)


def shown(store: Store, name: str) -> DeviceRow:
    """Return a device's row in the console's table."""
    ((row,), _) = MetricQueries(store).devices(search=name)
    return row


def test_removed_device_can_enrol_again_with_a_new_token(
    cloud: Cloud, porch: Identity, state: Path, name: str
) -> None:
    enrolled.remove(state, name)
    with channel(porch, cloud, state) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.UNAUTHENTICATED}

    enrol(cloud, state, porch.state_dir)

    with DeviceProcess(porch.state_dir, arguments=QUICK) as device:
        assert device.end() == 0, device.stderr
    assert stored(cloud, name) == len(device.answers)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("used", "this token has been used"),
        ("expired", "this token expired at"),
        ("replaced", "unknown here"),
        ("cut", "copy the whole line"),
        ("empty", "copy the whole line"),
    ],
)
def test_invalid_token_is_rejected_with_a_reason(
    cloud: Cloud, state: Path, tmp_path: Path, *, fault: str, message: str, name: str
) -> None:
    token = enrolled.add(state, name, *(["--hours", "1e-9"] if fault == "expired" else []))
    if fault == "used":
        assert enrolled.enrol(cloud.enrolment, token, tmp_path / "first").status == 0
    if fault == "replaced":
        enrolled.add(state, name)
    shown = {"cut": token[:-8], "empty": ""}.get(fault, token)

    ended = enrolled.enrol(cloud.enrolment, shown, tmp_path / name)

    assert ended.status == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert Identity.load(tmp_path / name) is None


def test_enrolment_detects_a_cloud_that_did_not_make_the_token(
    cloud: Cloud, liar: Cloud, state: Path, tmp_path: Path, name: str
) -> None:
    token = enrolled.add(state, name)

    ended = enrolled.enrol(liar.enrolment, token, tmp_path / name)

    assert ended.status == 1
    assert "is not this device's cloud" in ended.stderr
    assert enrolled.enrol(cloud.enrolment, token, tmp_path / name).status == 0


def test_device_rejects_another_cloud(
    cloud: Cloud, liar: Cloud, porch: Identity, name: str
) -> None:
    with DeviceProcess(porch.state_dir, arguments=QUICK) as device:
        assert device.end() == 0, device.stderr
    arguments = ("--cloud", liar.grpc, "--broker", str(liar.broker), *QUICK, *ALL_TO_THE_CLOUD)

    with DeviceProcess(porch.state_dir, arguments=arguments) as device:
        assert device.end() == 0, device.stderr

    reasons = {answer["reason"] for answer in device.answers}
    assert "unreachable" in reasons
    assert reasons <= {"unreachable", "back_off"}
    assert stored(liar, name) == 0


def test_unreachable_cloud_is_reported(cloud: Cloud, state: Path, name: str) -> None:
    token = enrolled.add(state, name)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        ended = enrolled.enrol(f"127.0.0.1:{nobody.getsockname()[1]}", token, state / name)

    assert ended.status == 1
    assert "cannot be reached" in ended.stderr


def test_name_missing_in_the_clouds_certificate_is_reported(
    start_cloud: StartCloud, tmp_path: Path, name: str
) -> None:
    everywhere = ("--host", "0.0.0.0", "--public-host", "127.0.0.1")  # noqa: S104
    cloud = start_cloud(*everywhere, state="abroad")
    token, port = enrolled.add(cloud.store.parent, name), Address.parse(cloud.enrolment).port

    ended = enrolled.enrol(f"127.0.0.2:{port}", token, tmp_path / name)

    assert ended.status == 1
    assert "--public-host 127.0.0.2" in ended.stderr


def test_enrolment_whose_answer_was_lost_can_be_repeated_with_the_same_token(
    cloud: Cloud, state: Path, tmp_path: Path, name: str
) -> None:
    token = enrolled.add(state, name)
    with Enrolment.open(state) as enrolment:  # the request arrived, but its answer did not
        key = _pending_key(tmp_path / name, EnrolmentToken.from_text(token))
        enrolment.enrol(EnrolmentToken.from_text(token).secret, enrolled.signing_request(key))

    assert enrolled.enrol(cloud.enrolment, token, tmp_path / name).status == 0

    assert [path.name for path in (tmp_path / name).glob("enrolling*")] == []


def test_renewal_gives_a_new_key_and_certificate_that_are_used_at_once(
    cloud: Cloud, porch: Identity, state: Path, name: str
) -> None:
    before = porch.credentials
    offloader = GrpcOffloader(
        Address.parse(cloud.grpc),
        manifest_with(model="hand-teacher"),
        device_id=name,
        identity=porch,
    )
    offloader.offload(ZEROS, deadline_ms=1000 * DEADLINE_S)

    ended = enrolled.run("device", "enrol", "--renew", "--state", str(porch.state_dir))
    serial = enrolled.serial_of(before)
    path = state / "authority" / "devices.sqlite"
    with RosterDatabase(path) as database, database.transaction() as cursor:
        cursor.execute("UPDATE certificates SET revoked = 1 WHERE serial = ?", (f"{serial:x}",))

    assert ended.status == 0, ended.stderr
    assert porch.credentials.key != before.key
    offloader.offload(ZEROS, deadline_ms=1000 * DEADLINE_S)
    offloader.close()


def test_running_device_renews_its_certificate_when_due(
    start_cloud: StartCloud, state: Path, tmp_path: Path, name: str
) -> None:
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(days=300)
    state = state.parent / "old"
    authority = Authority.open(state / "authority", now=lambda: long_ago)
    cloud = start_cloud(state=state.name)
    with Roster(state / "authority" / "devices.sqlite") as roster:
        enrolment = Enrolment(
            authority=authority,
            roster=roster,
            broker=BrokerFolder(folder=state / "broker", authority=authority, roster=roster),
        )
        papers = dataclasses.replace(
            enrolled.papers(enrolment, name, broker=str(cloud.broker)), cloud=cloud.grpc
        )
    worn = save_identity(tmp_path / name, papers)
    ends = worn.ends

    with DeviceProcess(tmp_path / name, arguments=("--interval", "0.01")) as device:
        device.take(1)
        until(lambda: worn.ends > ends)
        device.take(20)


def test_server_certificate_is_replaced_while_the_cloud_serves(
    cloud: Cloud, porch: Identity, state: Path, name: str
) -> None:
    served = _served_certificate(cloud)
    (state / "authority" / "server.pem").unlink()

    with channel(porch, cloud, state) as connection:
        assert outcomes(connection, name) == {grpc.StatusCode.OK}

    until(lambda: _served_certificate(cloud) != served)


def _served_certificate(cloud: Cloud) -> str:
    address = Address.parse(cloud.enrolment)
    return ssl.get_server_certificate((address.host, address.port))


def ahead() -> datetime:
    """Return the time of a clock that is more than a year ahead."""
    return (datetime.now(UTC) + timedelta(days=400)).replace(microsecond=0)


def test_cloud_whose_clock_was_set_back_starts_and_enrols_devices(
    start_cloud: StartCloud, tmp_path: Path
) -> None:
    cloud = start_cloud(state="ahead")
    assert cloud.stop() == 0
    state = cloud.store.parent
    authority = Authority.open(state / "authority", ahead)
    authority.server("server", ["127.0.0.1"])
    authority.server("broker", ["127.0.0.1"], folder=state / "broker")
    authority.client()

    again = start_cloud(state="ahead")

    token = enrolled.add(state, "porch")
    assert enrolled.enrol(again.enrolment, token, tmp_path / "porch").status == 0
    assert "authority/server.pem: this machine's clock says" in again.log.read_text()
    assert again.stop() == 0


def test_authority_made_in_the_future_is_reported(start_cloud: StartCloud, tmp_path: Path) -> None:
    state = tmp_path / "cloud"
    Authority.open(state / "authority", ahead)
    repository = start_cloud(state="any").store.parents[1] / "repository"

    store = state / "receipts.sqlite"
    command = cloud_process.command(repository, store, *enrolled.TLS, "--state", str(state))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert ended.returncode == 1
    assert "authority.pem was made on" in ended.stderr
    assert "set the clock" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
