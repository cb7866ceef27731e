"""Runs a real cloud as a process: `nestling-cloud serve`."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.mqtt.client import BrokerAddress
from tests.support.needs import MOSQUITTO
from tests.support.processes import DEADLINE_S
from tests.support.skipping import required


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A running cloud, and the addresses on which it is ready."""

    process: subprocess.Popen[str]
    grpc: str
    broker: BrokerAddress
    store: Path
    log: Path
    enrolment: str = ""  # without TLS
    console: str = ""
    password: str = ""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


StartCloud = Callable[..., Cloud]


def command(repository: Path, store: Path, *arguments: str) -> list[str]:
    """Return the command line of a cloud on free ports.

    A cloud with TLS uses Mosquitto as its broker; without Mosquitto the test is skipped.

    Args:
        repository: folder of the repository.
        store: file of the receipt store.
        arguments: further arguments; `--console-port` turns the console on.
    """
    if "--tls" in arguments:
        required(MOSQUITTO)
    module = [sys.executable, "-P", "-m", "nestling_cloud.cli", "serve"]
    paths = ["--repository", str(repository)]
    paths += [] if "--store" in arguments else ["--store", str(store)]
    console = [] if "--console-port" in arguments else ["--no-console"]
    free = [f"{flag}=0" for flag in ("--port", "--broker-port") if flag not in arguments]
    return [*module, *paths, *free, *console, *arguments]


def start(process: subprocess.Popen[str], store: Path, log: Path) -> Cloud:
    """Wait until a cloud is ready, and read its addresses from the JSON line that it prints.

    Args:
        process: the process of the cloud.
        store: file of the receipt store.
        log: file with the log of the process.
    """
    ready = json.loads(_first_line(process))
    return Cloud(
        process=process,
        grpc=ready["grpc"],
        broker=BrokerAddress.parse(ready["broker"]),
        store=store,
        log=log,
        enrolment=ready.get("enrolment", ""),
        console=ready.get("console", ""),
        password=ready.get("console_password", ""),
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    stdout = process.stdout
    assert stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=lambda: lines.put(stdout.readline()))
    reader.start()
    line = lines.get(timeout=DEADLINE_S)
    reader.join()
    assert line, f"the cloud ended with status {process.wait(DEADLINE_S)}"
    return line
