"""A real cloud in a process of its own."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

_DEADLINE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A running `nestling-cloud serve`."""

    process: subprocess.Popen[str]
    grpc: str
    broker_host: str
    broker_port: int
    store: Path

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(_DEADLINE_S)


StartCloud = Callable[..., Cloud]


@pytest.fixture
def start_cloud(released: Path, tmp_path: Path) -> Iterator[StartCloud]:
    """Starts clouds on free ports over the released repository, and ends them afterwards."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Cloud:
        store = tmp_path / "receipts.sqlite"
        command = ["nestling_cloud.cli", "serve", "--repository", str(released), "--json"]
        ports = ["--port", "0", "--broker-port", "0", "--store", str(store)]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *command, *ports, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        ready = json.loads(_first_line(process))
        host, _, port = ready["broker"].rpartition(":")
        return Cloud(
            process=process,
            grpc=ready["grpc"],
            broker_host=host,
            broker_port=int(port),
            store=store,
        )

    yield start
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def cloud(start_cloud: StartCloud) -> Cloud:
    """One cloud with a broker of its own."""
    return start_cloud()


@pytest.fixture
def cloud_channel(cloud: Cloud) -> Iterator[grpc.Channel]:
    """A gRPC channel to it."""
    with grpc.insecure_channel(cloud.grpc) as channel:
        yield channel


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=lambda: lines.put(process.stdout.readline()))  # type: ignore[union-attr]
    reader.start()
    line = lines.get(timeout=_DEADLINE_S)
    reader.join()
    assert line, f"the cloud ended with status {process.wait(_DEADLINE_S)}"
    return line
