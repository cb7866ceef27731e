"""An MQTT broker as a child process: Mosquitto where there is one, otherwise amqtt.

The broker listens on 127.0.0.1, lets anybody on this machine in, keeps nothing on disk, and gets
its configuration through standard input, so that nothing is left behind however we end.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from nestling_cloud.errors import CloudError
from nestling_cloud.leash import leashed

HOST = "127.0.0.1"
BrokerKind = Literal["auto", "mosquitto", "amqtt"]

# Where Debian puts daemons; a user's PATH may lack it.
_SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin")
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 3.0
_POLL_S = 0.02
# Another process may take a free port before the broker does.
_FREE_PORT_ATTEMPTS = 3
# CONNECT (MQTT 3.1.1, clean session, keep-alive 5 s, client "probe"), CONNACK, DISCONNECT.
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x05\x00\x05probe"
_CONNACK = b"\x20\x02\x00\x00"
_DISCONNECT = b"\xe0\x00"


class BrokerError(CloudError):
    """No broker to be found, its port taken, or it ended when it should not have."""


class Broker:
    """A running broker; leaving its context, or `close`, ends it.

    Args:
        process: the broker's process.
        log: what it writes, an unnamed file.
        kind: which broker it is.
        port: where it listens on 127.0.0.1.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], log: IO[bytes], *, kind: str, port: int
    ) -> None:
        self._process = process
        self._log = log
        self.kind = kind
        self.host = HOST
        self.port = port

    @property
    def address(self) -> str:
        """HOST:PORT to connect to."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the broker."""
        return self._process.pid

    def check(self) -> None:
        """Raise BrokerError if the broker has ended."""
        status = self._process.poll()
        if status is not None:
            raise BrokerError(
                f"{self.kind} on port {self.port} ended with status {status}: {self._log_tail()}"
            )

    def close(self) -> None:
        """End the broker: politely at first, by force after 3 s."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _answers(self.port):
            self.check()
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"{self.kind} did not answer on port {self.port} within "
                    f"{_START_TIMEOUT_S:.0f} s: {self._log_tail()}"
                )
            time.sleep(_POLL_S)
        self.check()  # what answered was this one, not somebody else on the same port

    def _log_tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it wrote nothing"


def start_broker(*, port: int = 0, kind: BrokerKind = "auto") -> Broker:
    """Start a broker on 127.0.0.1 and wait until it answers.

    It ends with the thread that starts it at the latest, even if this process is killed.

    Args:
        port: where to listen; 0 takes a free port.
        kind: which broker; "auto" is Mosquitto where it is installed, otherwise amqtt.

    Raises:
        BrokerError: there is no broker on this machine, the port is taken, or it does not start.
    """
    found, program = find_broker(kind)
    if port:
        _check_free(port)
        return _launch(found, program, port)
    for _ in range(_FREE_PORT_ATTEMPTS - 1):
        with contextlib.suppress(BrokerError):
            return _launch(found, program, _free_port())
    return _launch(found, program, _free_port())


def find_broker(kind: BrokerKind = "auto") -> tuple[str, Path]:
    """Find a broker's program without starting it.

    Returns:
        Its kind and its path.

    Raises:
        BrokerError: there is none on this machine; the text says how to get one.
    """
    search_path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_PATHS])
    mosquitto = shutil.which("mosquitto", path=search_path)
    if mosquitto and kind != "amqtt":
        return "mosquitto", Path(mosquitto)
    amqtt = Path(sys.prefix) / "broker" / "bin" / "amqtt"
    if amqtt.is_file() and kind != "mosquitto":
        return "amqtt", amqtt
    wanted = "MQTT broker" if kind == "auto" else kind
    raise BrokerError(
        f"no {wanted} on this machine: install Mosquitto (apt install mosquitto), "
        f"or run 'make setup', which puts amqtt at {amqtt}; or name a running broker"
    )


def _launch(kind: str, program: Path, port: int) -> Broker:
    log = tempfile.TemporaryFile()  # noqa: SIM115  the broker closes it
    configuration = {"mosquitto": _mosquitto, "amqtt": _amqtt}[kind](port)
    process = subprocess.Popen(
        leashed([str(program), "-c", "/dev/stdin"]),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        # Ctrl-C in a terminal reaches the whole group; the broker must outlive the goodbyes.
        start_new_session=True,
    )
    broker = Broker(process, log, kind=kind, port=port)
    try:
        with process.stdin as pipe:  # type: ignore[union-attr]  # it is a PIPE
            pipe.write(configuration.encode())
        broker._wait_until_ready()  # noqa: SLF001  same module
    except BaseException:
        broker.close()
        raise
    return broker


def _mosquitto(port: int) -> str:
    lines = [
        f"listener {port} {HOST}",
        "allow_anonymous true",
        "persistence false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "set_tcp_nodelay true",
        # Started as root it would become another user, and lose its leash by that.
        *(["user root"] if os.geteuid() == 0 else []),
    ]
    return "\n".join(lines) + "\n"


def _amqtt(port: int) -> str:
    return f"""\
listeners:
  default:
    type: tcp
    bind: {HOST}:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1) as probe:
        probe.sendall(_CONNECT)
        answer = probe.recv(len(_CONNACK))
        probe.sendall(_DISCONNECT)
        return answer == _CONNACK
    return False


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as err:
            raise BrokerError(
                f"cannot listen on port {port} ({err.strerror}): choose another port, "
                "or use the broker that may be running there"
            ) from err


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
