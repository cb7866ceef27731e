from pathlib import Path

import pytest

from nestling.hosts import is_loopback
from nestling.inference.v2 import inference_pb2
from nestling.v1 import delivery_pb2
from nestling_cloud.fleet.certificates import CertificateError
from nestling_cloud.security import ExposureError, Security, needs_tls
from nestling_cloud.serving.peers import said_device
from nestling_cloud.tls import reachable_as

ANY = "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.3.4.5"])
def test_this_machine_needs_no_tls(host: str) -> None:
    assert not needs_tls(host)


@pytest.mark.parametrize("host", [ANY, "::", "[::]", "10.0.0.7", "cloud.lan", "localhost.lan"])
def test_other_machines_need_tls(host: str) -> None:
    assert needs_tls(host)
    assert needs_tls("127.0.0.1", host)


@pytest.mark.parametrize(
    ("host", "reached"),
    [(ANY, "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.7", "10.0.0.7")],
)
def test_listener_is_reached_from_its_own_machine(host: str, reached: str) -> None:
    assert reachable_as(host) == reached
    assert is_loopback(reached) or reached == host


@pytest.mark.parametrize(
    ("host", "public_host", "expected", "names"),
    [
        ("127.0.0.1", None, "127.0.0.1", ("127.0.0.1",)),
        ("10.0.0.7", None, "10.0.0.7", ("10.0.0.7",)),
        ("10.0.0.7", "cloud.lan", "cloud.lan", ("10.0.0.7", "cloud.lan")),
        (ANY, "cloud.lan", "cloud.lan", ("cloud.lan",)),
    ],
)
def test_names_are_those_that_devices_use(
    tmp_path: Path, host: str, public_host: str | None, expected: str, names: tuple[str, ...]
) -> None:
    with Security.open(tmp_path, host, public_host) as security:
        assert (security.public_host, security.names) == (expected, names)
        assert security.public("127.0.0.1:8500") == f"{expected}:8500"
        assert security.public(f"{ANY}:8500") == f"{expected}:8500"
        assert security.public("broker.lan:8883") == "broker.lan:8883"


def test_wildcard_without_a_public_host_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with (
        pytest.raises(ExposureError, match="--public-host NAME"),
        Security.open(tmp_path / "state", ANY, None),
    ):
        pass
    assert not (tmp_path / "state").exists()


def test_public_host_that_is_none_is_refused(tmp_path: Path) -> None:
    with (
        Security.open(tmp_path, ANY, "cloud.lan:8500") as security,
        pytest.raises(CertificateError, match="is no host"),
    ):
        security.server_files()


def test_requests_say_who_they_come_from_or_nothing() -> None:
    infer = inference_pb2.ModelInferRequest()
    assert said_device(infer) == ""
    infer.parameters["device_id"].string_param = "porch"
    assert said_device(infer) == "porch"
    assert said_device(delivery_pb2.GetDesiredBundleRequest(device_id="attic")) == "attic"
    assert said_device(delivery_pb2.FetchBlobRequest()) == ""
