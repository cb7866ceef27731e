"""The commands of docs/operate.md work: two terminals, API calls, a store in PostgreSQL."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fleet_tasks import ROOT
from tests.support.postgres import Postgres
from tests.support.processes import DEADLINE_S
from tests.support.stand_ins import stand_in
from tests.support.trained import TrainedTask

_TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")
_BLOCKS = re.findall(r"^```sh\n(.*?)^```$", _TEXT, re.MULTILINE | re.DOTALL)
# The page's own ports may be taken here.
_PORTS = ("8500", "1883", "8080")


def block(text: str) -> str:
    """Return the one block of the page with a text, without comments and pip commands."""
    (found,) = (each for each in _BLOCKS if text in each)
    lines = [line for line in found.splitlines() if not line.startswith(("#", "pip "))]
    return "\n".join(lines)


class Machine:
    """A home and a working folder for the page's commands."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.here = folder / "here"
        self.here.mkdir()
        home = folder / "home"
        programs = (str(Path(sys.executable).parent), str(stand_in("curl", folder)))
        shutil.copytree(repository, home / ".cache" / "nestling" / "bundles" / "wearable-0")
        shutil.copytree(repository, self.here / "repository")
        self._ports = dict(zip(_PORTS, map(str, _free_ports(len(_PORTS))), strict=True))
        self._environment = {
            **os.environ,
            "HOME": str(home),
            "PATH": os.pathsep.join([*programs, os.environ["PATH"]]),
        }

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a block until it ends."""
        for port, free in self._ports.items():
            script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        return subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=self.here,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=4 * DEADLINE_S,
            check=False,
        )

    @contextmanager
    def serving(self, command: str) -> Iterator[dict[str, str]]:
        """Run `nestling-cloud serve` for the length of the block; yield its ready event."""
        flags = ("--port", "--broker-port", "--console-port")
        free = " ".join(
            f"{flag} {self._ports[port]}" for flag, port in zip(flags, _PORTS, strict=True)
        )
        process = subprocess.Popen(
            ["/bin/bash", "-c", f"exec {command} {free} --json"],
            cwd=self.here,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                yield json.loads(process.stdout.readline())
                process.send_signal(signal.SIGINT)
                assert process.wait(DEADLINE_S) == 0
            finally:
                process.kill()


def _free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def machine(tmp_path: Path, trained: TrainedTask) -> Machine:
    return Machine(tmp_path, trained.repository)


def test_two_terminals_and_every_api_call_work(machine: Machine) -> None:
    calls = "\n".join([block("/api/v1/fleet"), block('{"offload_share": 0.3}')])

    with machine.serving(block('nestling-cloud serve --repository "$(ls')):
        answers = machine.run(block("nestling-device run"))
        called = machine.run(calls)

    assert answers.returncode == 0, answers.stderr
    assert len(answers.stdout.splitlines()) == 6
    assert called.returncode == 0, called.stderr
    assert len((machine.here / "receipts.csv").read_text().splitlines()) == 1 + 6


def test_store_in_postgresql_works(machine: Machine, postgres_server: Postgres) -> None:
    url = "postgresql+psycopg://nestling@localhost/nestling"
    command = block("--store postgresql")
    assert url in command

    with machine.serving(command.replace(url, f"'{postgres_server.new_database()}'")) as ready:
        assert ready["event"] == "ready"
