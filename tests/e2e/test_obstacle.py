"""The connection diagnosis names what keeps a device from a server, using real sockets."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from nestling_cloud.fleet.authority import Authority
from nestling_cloud.serving.listener import listening, tls_credentials
from nestling_core.network.address import Address
from nestling_device.transport.connection_diagnosis import find_connection_problem
from tests.support.background import background

HOST = "127.0.0.1"


def server(authority: Authority, *, ask: bool = False, host: str = HOST) -> Iterator[Address]:
    """Run a gRPC listener with an authority's certificate for 127.0.0.1 and localhost."""
    files = authority.server("server", [])

    @asynccontextmanager
    async def listener() -> AsyncIterator[Address]:
        credentials = tls_credentials(lambda: files, ask_for_certificate=ask)
        async with listening(grpc.aio.server(), host, 0, credentials) as address:
            yield address

    with background(listener) as address:
        yield address


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "authority")


@pytest.fixture
def listener(authority: Authority) -> Iterator[Address]:
    yield from server(authority)


@pytest.fixture
def asking(authority: Authority) -> Iterator[Address]:
    yield from server(authority, ask=True)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.certificate_pem)


def found(address: Address, tls: ssl.SSLContext | None) -> str:
    obstacle = find_connection_problem(address, tls)
    assert obstacle is not None
    return str(obstacle)


def test_reachable_server_has_no_obstacle(listener: Address, authority: Authority) -> None:
    assert find_connection_problem(listener, trusting(authority)) is None
    assert find_connection_problem(listener, None) is None


def test_unknown_name_is_reported() -> None:
    unknown = Address(host="no-such-host.invalid", port=8501)

    assert found(unknown, None).startswith("no address for no-such-host.invalid; ")


def test_port_without_a_listener_is_reported() -> None:
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        address = Address(host=HOST, port=nobody.getsockname()[1])

        assert f"{address} cannot be reached" in found(address, None)


def test_certificate_for_other_names_is_reported(listener: Address, authority: Authority) -> None:
    by_name = Address(host="127.1", port=listener.port)  # TLS takes it for a name

    assert "--public-host 127.1" in found(by_name, trusting(authority))
    for by_address in server(authority, host="127.0.0.2"):
        assert "--public-host 127.0.0.2" in found(by_address, trusting(authority))


def test_other_authority_is_reported(listener: Address, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "stranger")

    assert "comes from another authority" in found(listener, trusting(stranger))


@pytest.mark.parametrize(("days", "message"), [(-800, "has expired"), (800, "is not valid yet")])
def test_clock_that_is_off_is_reported(tmp_path: Path, days: int, message: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    Authority.open(tmp_path / "authority", now=lambda: now - timedelta(days=1000))
    off = Authority.open(tmp_path / "authority", now=lambda: now + timedelta(days=days))

    for address in server(off):
        assert message in found(address, trusting(off))


def test_listener_that_requires_a_certificate_is_reported(
    asking: Address, authority: Authority
) -> None:
    assert "requires a client certificate" in found(asking, trusting(authority))


def test_server_without_tls_is_reported(authority: Authority) -> None:
    @asynccontextmanager
    async def listener() -> AsyncIterator[Address]:
        async with listening(grpc.aio.server(), HOST, 0) as address:
            yield address

    with background(listener) as address:
        assert "does not speak TLS" in found(address, trusting(authority))
