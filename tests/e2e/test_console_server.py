"""The console's listener: ports, TLS and slow clients."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from nestling_cloud import cli
from nestling_cloud.console.server import ConsoleAddress, ConsoleError, ConsoleServer
from nestling_cloud.fleet.tls import TlsFiles
from tests.support.processes import DEADLINE_S
from tests.support.skipping import needs_ipv6


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return _certified(tmp_path)


def _certified(folder: Path) -> TlsFiles:
    """Make a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "console")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = {"certificate": folder / "c.pem", "key": folder / "k.pem"}
    files["certificate"].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files["key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return TlsFiles(**files, authority=files["certificate"])


async def _fetch(server: ConsoleServer, trusted: Path) -> str:
    context = ssl.create_default_context(cafile=trusted)
    serving = asyncio.create_task(server.run(PlainTextResponse("hello")))
    try:
        async with httpx.AsyncClient(verify=context) as client:
            return (await client.get(server.url())).text
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


def test_console_speaks_tls(tls: TlsFiles) -> None:
    address = ConsoleAddress(host="127.0.0.1", port=0)
    with ConsoleServer(address, lambda: tls) as server:
        assert server.url().startswith("https://127.0.0.1:")
        assert server.secure

        assert asyncio.run(_fetch(server, tls.certificate)) == "hello"


def test_console_uses_a_renewed_certificate_while_it_serves(
    tls: TlsFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestling_cloud.console.server._CERTIFICATE_CHECK_S", 0.01)
    (tmp_path / "fresh").mkdir()
    fresh = _certified(tmp_path / "fresh")
    offered = [tls]

    async def until_fresh(server: ConsoleServer) -> None:
        serving = asyncio.create_task(server.run(PlainTextResponse("hello")))
        host, port = server.url().removeprefix("https://").split(":")
        wanted = fresh.certificate.read_text()
        offered[0] = fresh
        async with asyncio.timeout(20):
            while await asyncio.to_thread(_shown, host, int(port)) != wanted:
                assert not serving.done()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    with ConsoleServer(ConsoleAddress(port=0), lambda: offered[0]) as server:
        asyncio.run(until_fresh(server))


def _shown(host: str, port: int) -> str:
    """Return a server's certificate; "" before it listens."""
    try:
        return ssl.get_server_certificate((host, port), timeout=5)
    except OSError:
        return ""


async def _hello_once_read(scope: Scope, receive: Receive, send: Send) -> None:
    async for _ in Request(scope, receive).stream():
        pass
    await PlainTextResponse("hello")(scope, receive, send)


def _sent_until_closed(
    sent: Iterable[bytes], monkeypatch: pytest.MonkeyPatch, *, deadline_s: float = 0.3
) -> bytes:
    """Send pieces to a console, and return what it sends before it closes the connection."""
    monkeypatch.setattr("nestling_cloud.console.http.request_deadline._DEADLINE_S", deadline_s)
    monkeypatch.setattr("nestling_cloud.console.http.request_deadline._POLL_S", 0.05)

    def talk(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as line:
            received = b""
            try:
                for piece in sent:
                    line.sendall(piece)
                while more := line.recv(1 << 16):
                    received += more
            except ConnectionError:
                pass
            return received

    async def serve(server: ConsoleServer) -> bytes:
        serving = asyncio.create_task(server.run(_hello_once_read))
        try:
            return await asyncio.to_thread(talk, server.port)
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    with ConsoleServer(ConsoleAddress(port=0), None) as server:
        return asyncio.run(serve(server))


_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b"GET"],
        [_REQUEST, b"\r\n", b"G"],
        [b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nhalf"],
    ],
    ids=["silent", "half a line", "half a second request", "half a body"],
)
def test_client_that_never_ends_a_request_is_disconnected(
    sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    received = _sent_until_closed(sent, monkeypatch)

    assert (b"hello" in received) == (b"\r\n" in sent)


def test_endless_header_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = 0

    def endless() -> Iterator[bytes]:
        nonlocal pieces
        yield _REQUEST
        while pieces < 1000:
            pieces += 1
            yield b"X" * (1 << 16)

    _sent_until_closed(endless(), monkeypatch, deadline_s=3600.0)

    assert pieces < 1000


def test_url_of_a_wildcard_console_has_the_given_name(tls: TlsFiles) -> None:
    address = ConsoleAddress(host="0.0.0.0", port=0)  # noqa: S104
    with ConsoleServer(address, lambda: tls) as server:
        assert server.url("cloud.example").startswith("https://cloud.example:")
        assert server.url().startswith("https://127.0.0.1:")
        assert not server.local_only


@needs_ipv6
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_wildcard_console_is_reachable_by_ipv4_and_ipv6(host: str, tls: TlsFiles) -> None:
    with ConsoleServer(ConsoleAddress(host=host, port=0), lambda: tls) as server:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, server.port), timeout=DEADLINE_S).close()


def test_console_beyond_loopback_needs_tls() -> None:
    with pytest.raises(ConsoleError, match="without TLS"):
        ConsoleServer(ConsoleAddress(host="0.0.0.0", port=0), tls=None)  # noqa: S104


def test_invalid_certificate_is_reported(tls: TlsFiles) -> None:
    tls.certificate.write_text("nonsense")
    address = ConsoleAddress(host="127.0.0.1", port=0)

    with (
        ConsoleServer(address, lambda: tls) as server,
        pytest.raises(ConsoleError, match="certificate cannot be used"),
    ):
        asyncio.run(server.run(PlainTextResponse("hello")))


def test_taken_port_is_reported_with_advice(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["serve", "--repository", str(released), "--state", str(tmp_path / "state")]

        status = cli.main([*arguments, "--port", "0", "--broker-port", "0", "--console-port", port])

    assert status == 1
    assert "choose another --console-port" in capsys.readouterr().err
