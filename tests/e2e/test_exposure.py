"""Nothing listens beyond this machine without TLS and credentials."""

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import cloud_process, enrolled
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.processes import DEADLINE_S, children, seen

# A client's first message in each protocol, and the first bytes of a server's answer.
GREETINGS = {
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"\0\0"),
    "MQTT": (b"\x10\x11\x00\x04MQTT\x04\x02\x00\x05\x00\x05probe", b"\x20"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"HTTP"),
}
OPEN = ("--host", "0.0.0.0", "--public-host", "127.0.0.1")  # noqa: S104
# 127.0.0.1, and the same address in an IPv6 socket, as gRPC uses it.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}


def listeners(pid: int) -> set[tuple[str, int]]:
    """Return the listening addresses (in the kernel's notation) and ports of a process tree."""
    pids = [pid, *children(pid)]
    inodes = {
        found.group(1)
        for each in pids
        for descriptor in Path(f"/proc/{each}/fd").iterdir()
        if (found := re.fullmatch(r"socket:\[(\d+)\]", seen(descriptor, Path.readlink)))
    }
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {
        (line[1].split(":")[0], int(line[1].split(":")[1], 16))
        for line in lines
        if line[3] == "0A" and line[9] in inodes
    }


def port_of(address: object) -> int:
    return int(str(address).rpartition(":")[2])


@contextmanager
def dialled(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as line:
        yield line


def greets(line: socket.socket, protocol: str) -> bool:
    """Return whether the other side answers in a protocol."""
    message, answer = GREETINGS[protocol]
    try:
        line.sendall(message)
        return line.recv(len(answer)) == answer
    except OSError:
        return False


def greets_over_tls(port: int, tls: ssl.SSLContext, protocol: str) -> bool:
    try:
        with dialled(port) as line, tls.wrap_socket(line, server_hostname="127.0.0.1") as secure:
            return greets(secure, protocol)
    except OSError:
        return False


@pytest.fixture
def exposed(start_cloud: StartCloud, tmp_path: Path) -> Cloud:
    return start_cloud(*OPEN, *enrolled.TLS, "--state", str(tmp_path / "cloud"))


def test_every_listener_beyond_this_machine_requires_tls_and_authentication(
    exposed: Cloud, tmp_path: Path
) -> None:
    grpc, broker, enrolment = map(port_of, (exposed.grpc, exposed.broker, exposed.enrolment))
    beyond = {port for host, port in listeners(exposed.process.pid) if host not in LOOPBACK}
    assert beyond == {grpc, broker, enrolment}

    stranger = ssl.create_default_context(cafile=tmp_path / "cloud" / "authority" / "ca.pem")
    stranger.set_alpn_protocols(["h2"])
    for port in beyond:
        for protocol in GREETINGS:
            with dialled(port) as line:
                assert not greets(line, protocol), (port, protocol)
            asks_later = port == enrolment and protocol == "HTTP/2"  # it takes a token instead
            assert greets_over_tls(port, stranger, protocol) == asks_later, (port, protocol)


def test_open_cloud_listens_on_this_machine_only(start_cloud: StartCloud) -> None:
    cloud = start_cloud()

    assert {host for host, _ in listeners(cloud.process.pid)} <= LOOPBACK
    assert cloud.enrolment == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_wildcard_host_needs_a_public_host(released: Path, tmp_path: Path, host: str) -> None:
    ended = _serve(released, tmp_path, "--host", host)

    assert ended.returncode == 1
    assert "--public-host NAME" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_iotcore_does_not_serve_other_machines(released: Path, tmp_path: Path) -> None:
    ended = _serve(released, tmp_path, *OPEN, "--broker-kind", "iotcore")

    assert ended.returncode == 1
    assert "apt install mosquitto" in ended.stderr


def _serve(released: Path, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = cloud_process.command(
        released, tmp_path / "store.sqlite", "--state", str(tmp_path / "cloud"), *arguments
    )
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
