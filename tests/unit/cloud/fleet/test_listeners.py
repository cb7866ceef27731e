import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nestling.inference.v2 import inference_pb2
from nestling.v1 import delivery_pb2
from nestling_cloud.fleet import listeners as module
from nestling_cloud.fleet.authority import Authority
from nestling_cloud.fleet.certificates import CertificateError, Pair
from nestling_cloud.fleet.listeners import ExposureError, Security, needs_tls
from nestling_cloud.fleet.tls import reachable_as
from nestling_cloud.mqtt.broker_process import Broker
from nestling_cloud.serving.peers import claimed_device
from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback
from tests.support import enrolled

ANY = "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.4.5"])
def test_this_machine_needs_no_tls(host: str) -> None:
    assert not needs_tls(host)


@pytest.mark.parametrize("host", [ANY, "::", "10.0.0.7", "cloud.lan", "localhost.lan"])
def test_other_machines_need_tls(host: str) -> None:
    assert needs_tls(host)
    assert needs_tls("127.0.0.1", host)


@pytest.mark.parametrize(
    ("host", "reached"),
    [(ANY, "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.7", "10.0.0.7")],
)
def test_local_clients_reach_a_wildcard_listener_by_loopback(host: str, reached: str) -> None:
    assert reachable_as(host) == reached
    assert is_loopback(reached) or reached == host


@pytest.mark.parametrize(
    ("host", "public_host", "expected", "names"),
    [
        ("127.0.0.1", None, "127.0.0.1", ("127.0.0.1",)),
        ("10.0.0.7", None, "10.0.0.7", ("10.0.0.7",)),
        ("10.0.0.7", "cloud.lan", "cloud.lan", ("10.0.0.7", "cloud.lan")),
        (ANY, "cloud.lan", "cloud.lan", ("cloud.lan",)),
        ("::1", None, "[::1]", ("::1",)),
    ],
)
def test_certificate_names_are_those_that_devices_use(
    tmp_path: Path, host: str, public_host: str | None, expected: str, names: tuple[str, ...]
) -> None:
    with Security.open(tmp_path, host, public_host) as security:
        assert (security.public_host, security.names) == (expected.strip("[]"), names)
        assert security.public(Address(host="127.0.0.1", port=8500)) == f"{expected}:8500"
        assert security.public(Address(host=ANY, port=8500)) == f"{expected}:8500"
        assert security.public(Address(host="broker.lan", port=8883)) == "broker.lan:8883"


def test_wildcard_without_a_public_host_is_rejected_before_anything_is_created(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(ExposureError, match="--public-host NAME"),
        Security.open(tmp_path / "state", ANY, None),
    ):
        pass
    assert not (tmp_path / "state").exists()


def test_invalid_public_host_is_rejected(tmp_path: Path) -> None:
    with (
        Security.open(tmp_path, ANY, "cloud.lan:8500") as security,
        pytest.raises(CertificateError, match="is no host"),
    ):
        security.server_files()


def test_requests_claim_a_device_or_none() -> None:
    infer = inference_pb2.ModelInferRequest()
    assert claimed_device(infer) == ""
    infer.parameters["device_id"].string_param = "porch"
    assert claimed_device(infer) == "porch"
    assert claimed_device(delivery_pb2.GetDesiredBundleRequest(device_id="attic")) == "attic"
    assert claimed_device(delivery_pb2.FetchBlobRequest()) == ""


class RecordingBroker(Broker):
    """A broker without a process that records the content of one file at every reload."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.contents: asyncio.Queue[bytes] = asyncio.Queue()

    def reload(self) -> None:
        self.contents.put_nowait(self._path.read_bytes())


@pytest.fixture
def frequent_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LISTS_CHECK_S", 0.001)
    monkeypatch.setattr(module, "_CERTIFICATE_CHECK_S", 0.0)


def read_by_broker(security: Security, file: str, change: Callable[[], None]) -> list[bytes]:
    """Return what the broker reads at its first reload, and at the next one after a change."""

    async def keep() -> list[bytes]:
        broker = RecordingBroker(security.enrolment.broker.folder / file)
        task = asyncio.create_task(security.keep_broker_updated(broker))
        async with asyncio.timeout(10):
            first = await broker.contents.get()
            change()
            second = await broker.contents.get()
        task.cancel()
        await asyncio.wait([task])
        return [first, second]

    return asyncio.run(keep())


@pytest.mark.usefixtures("frequent_checks")
def test_broker_gets_a_revocation_even_if_its_certificate_cannot_be_checked(
    tmp_path: Path,
) -> None:
    with Security.open(tmp_path, "127.0.0.1", None) as security:
        enrolled.papers(security.enrolment, "porch")
        folder = security.enrolment.broker.folder
        folder.mkdir()
        (folder / "broker.pem").write_bytes(b"no certificate")

        first, second = read_by_broker(
            security, "acl", lambda: security.enrolment.roster.remove("porch")
        )

    assert b"user porch" not in first
    assert b"user porch" in second


@pytest.mark.usefixtures("frequent_checks")
def test_broker_gets_changes_while_the_authority_is_not_valid_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Authority.open(tmp_path / "authority", lambda: datetime.now(UTC) + timedelta(days=400))
    with Security.open(tmp_path, "127.0.0.1", None) as security:
        roster = security.enrolment.roster
        roster.invite("porch", timedelta(hours=1))

        read_by_broker(security, "acl", lambda: roster.remove("porch"))

    messages = {record.getMessage() for record in caplog.records}
    assert len(messages) == 1
    assert re.match("the broker keeps its present files: .* set the clock", messages.pop())
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.usefixtures("frequent_checks")
def test_broker_gets_its_renewed_certificate(tmp_path: Path) -> None:
    old = Authority.open(tmp_path / "authority", lambda: datetime.now(UTC) - timedelta(days=300))
    worn = old.server("worn", ["cloud.lan"], folder=tmp_path / "worn").certificate
    with Security.open(tmp_path, "127.0.0.1", None) as security:
        security.enrolment.broker.write_certificate(["cloud.lan"])
        path = security.enrolment.broker.folder / "broker.pem"

        first, second = read_by_broker(security, path.name, lambda: move(worn, path))

    assert second != first
    assert Pair.from_pem(second).certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(
        days=300
    )


def move(source: Path, path: Path) -> None:
    source.replace(path)


@pytest.mark.usefixtures("frequent_checks")
def test_client_certificate_is_renewed_while_the_cloud_runs(
    tmp_path: Path,
) -> None:
    old = Authority.open(tmp_path / "authority", lambda: datetime.now(UTC) - timedelta(days=300))
    worn = old.client().certificate.read_bytes()
    with Security.open(tmp_path, "127.0.0.1", None) as security:
        path = security.client_files().certificate

        async def renewed() -> None:
            path.write_bytes(worn)
            task = asyncio.create_task(security.keep_broker_updated(None))
            async with asyncio.timeout(10):
                while path.read_bytes() == worn:  # noqa: ASYNC110  another thread writes it
                    await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(renewed())
