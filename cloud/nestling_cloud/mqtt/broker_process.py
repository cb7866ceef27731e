"""Runs an MQTT broker as a child process.

The broker is Mosquitto if that is installed, and otherwise iotcore. An open broker listens on
127.0.0.1, accepts every client on this machine, and keeps nothing on disk. It gets its
configuration through standard input, so that no file is left behind. A secure broker may listen on
any address, because it is a Mosquitto that requires client certificates.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Literal

from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.broker_config import BrokerFolder
from nestling_cloud.fleet.tls import TlsFiles, reachable_as
from nestling_cloud.mqtt import open_broker_config
from nestling_cloud.mqtt.parent_death import dies_with_parent
from nestling_cloud.mqtt.probe import answers_mqtt
from nestling_cloud.ports import bound_socket, in_words
from nestling_core.closing import Closing
from nestling_core.network.address import Address

HOST = "127.0.0.1"
BrokerKind = Literal["auto", "mosquitto", "iotcore"]

# The program that runs as iotcore's process.
_IOTCORE = Path(__file__).with_name("iotcore_program.py")
# For each kind: what is missing, and how to get it.
_HOW_TO_GET: dict[BrokerKind, tuple[str, str]] = {
    "auto": ("MQTT broker", "apt install mosquitto, or pip install iotcore"),
    "mosquitto": ("Mosquitto", "apt install mosquitto"),
    "iotcore": ("iotcore", "pip install iotcore"),
}
# Debian installs daemons here; a user's PATH may not include it.
_SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin")
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 3.0
_POLL_S = 0.02
# Another process may take a free port before the broker does.
_FREE_PORT_ATTEMPTS = 3


class BrokerError(CloudError):
    """Raised when a broker cannot be started, or has ended unexpectedly."""


class Broker(Closing):
    """A running broker, which ends when it is closed.

    Attributes:
        kind: the broker's program, "mosquitto" or "iotcore".
        host: the host by which this machine reaches the broker.
        port: the port that the broker listens on.

    Args:
        process: the broker's process.
        log: the unnamed file that receives the broker's output.
        kind: the broker's program, "mosquitto" or "iotcore".
        host: the host by which this machine reaches the broker.
        port: the port that the broker listens on.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], log: IO[bytes], *, kind: str, host: str, port: int
    ) -> None:
        self._process = process
        self._log = log
        self.kind = kind
        self.host = host
        self.port = port

    @property
    def address(self) -> str:
        """The HOST:PORT by which this machine reaches the broker."""
        return str(Address(host=self.host, port=self.port))

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise BrokerError if the broker no longer runs.

        Raises:
            BrokerError: the broker has ended; the message contains the end of the broker's log.
        """
        status = self._process.poll()
        if status is not None:
            raise BrokerError(
                f"{self.kind} on port {self.port} ended with status {status}: {self._log_tail()}"
            )

    def reload(self) -> None:
        """Make a secure broker read its access list, revocation list and certificate again."""
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """End the broker with SIGTERM, and then with SIGKILL if it still runs after 3 s."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _wait_until_ready(self, tls: ssl.SSLContext | None) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not answers_mqtt(self.host, self.port, tls):
            self.check()
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"{self.kind} did not answer on port {self.port} within "
                    f"{_START_TIMEOUT_S:.0f} s: {self._log_tail()}"
                )
            time.sleep(_POLL_S)
        self.check()  # this broker has answered, not another process on the same port

    def _log_tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it wrote nothing"


def start_broker(*, port: int = 0, kind: BrokerKind = "auto") -> Broker:
    """Start an open broker on 127.0.0.1 and wait until it answers.

    The broker ends at the latest when the thread that starts it ends, even if this process is
    killed.

    Args:
        port: the port to listen on; 0 picks a free one.
        kind: the broker's program; "auto" is Mosquitto if it is installed, and otherwise iotcore.

    Raises:
        BrokerError: no broker is installed, the port is taken, or the broker does not start.
    """
    found, program = find_broker(kind)

    def launch(port: int) -> Broker:
        if found == "mosquitto":
            command, text = (
                [str(program), "-c", "/dev/stdin"],
                open_broker_config.mosquitto(HOST, port),
            )
        else:
            command = [sys.executable, "-P", str(program)]
            text = open_broker_config.iotcore(HOST, port)
        return _launch(found, command, text.encode(), host=HOST, port=port, tls=None)

    return _on_port(HOST, port, launch)


def start_secure_broker(
    files: BrokerFolder,
    *,
    host: str,
    port: int,
    names: Collection[str],
    client: TlsFiles,
    kind: BrokerKind = "auto",
) -> Broker:
    """Start a Mosquitto broker that accepts only clients with a certificate of the fleet.

    The broker ends at the latest when the thread that starts it ends, even if this process is
    killed.

    Args:
        files: the writer of the broker's configuration, lists and certificate. It writes them
            before the broker starts.
        host: the host to listen on.
        port: the port to listen on; 0 picks a free one.
        names: the names and addresses by which devices reach the broker, for its certificate.
        client: the cloud's own certificate, used to check that the broker answers.
        kind: the broker's program; "iotcore" fails, because it does not check client certificates.

    Raises:
        BrokerError: Mosquitto is not installed, the port is taken, or the broker does not start.
    """
    program = _find_mosquitto(kind)
    tls = client.client_context()

    def launch(port: int) -> Broker:
        files.write(host, port, names)
        command = [str(program), "-c", str(files.configuration)]
        return _launch("mosquitto", command, b"", host=reachable_as(host), port=port, tls=tls)

    return _on_port(host, port, launch)


def _find_mosquitto(kind: BrokerKind) -> Path:
    try:
        found, program = find_broker(kind)
    except BrokerError:
        found, program = "none", Path()
    if found != "mosquitto":
        raise BrokerError(
            "TLS with client certificates needs Mosquitto, and iotcore cannot replace it: "
            "apt install mosquitto, or name a running broker"
        )
    return program


def _on_port(host: str, port: int, launch: Callable[[int], Broker]) -> Broker:
    if port:
        _check_free(host, port)
        return launch(port)
    for _ in range(_FREE_PORT_ATTEMPTS - 1):
        with contextlib.suppress(BrokerError):
            return launch(_free_port(host))
    return launch(_free_port(host))


def find_broker(kind: BrokerKind = "auto") -> tuple[str, Path]:
    """Return the program that would be started as the broker.

    Args:
        kind: the wanted program; "auto" is Mosquitto if it is installed, and otherwise iotcore.

    Returns:
        "mosquitto" or "iotcore", and the path of Mosquitto or of the Python program that runs
        iotcore.

    Raises:
        BrokerError: the program is not installed; the message says how to install it.
    """
    search_path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_PATHS])
    mosquitto = shutil.which("mosquitto", path=search_path)
    if mosquitto and kind != "iotcore":
        return "mosquitto", Path(mosquitto)
    if kind != "mosquitto" and importlib.util.find_spec("iotcore") is not None:
        return "iotcore", _IOTCORE
    wanted, how = _HOW_TO_GET[kind]
    raise BrokerError(f"no {wanted} on this machine: {how}, or name a running broker")


def _launch(
    kind: str,
    command: list[str],
    configuration: bytes,
    *,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
) -> Broker:
    log = tempfile.TemporaryFile()  # noqa: SIM115  the broker closes it
    process = subprocess.Popen(
        dies_with_parent(command),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        # Ctrl-C in a terminal reaches the whole process group; the broker must run until the
        # services have published their goodbyes.
        start_new_session=True,
    )
    broker = Broker(process, log, kind=kind, host=host, port=port)
    try:
        with process.stdin as pipe:  # type: ignore[union-attr]  # it is a PIPE
            pipe.write(configuration)
        broker._wait_until_ready(tls)  # noqa: SLF001  same module
    except BaseException:
        broker.close()
        raise
    return broker


def _check_free(host: str, port: int) -> None:
    try:
        bound_socket(host, port).close()
    except OSError as err:
        raise BrokerError(
            f"cannot listen on port {port} of {host} ({in_words(err, host)}): choose another "
            "port, or use the broker that may be running there"
        ) from err


def _free_port(host: str) -> int:
    try:
        with bound_socket(host, 0) as probe:
            port: int = probe.getsockname()[1]
            return port
    except OSError as err:
        raise BrokerError(
            f"the broker cannot listen on {host} ({in_words(err, host)}): give a name or an "
            "address of this machine"
        ) from err
