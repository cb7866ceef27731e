"""Runs a real device as a process: `nestling-device run --json`."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.support.processes import DEADLINE_S

Answer = dict[str, Any]


class DeviceProcess:
    """A device that answers its bundle's golden inputs. A context manager."""

    def __init__(
        self, state: Path, *, cloud: str = "", broker: str = "", arguments: tuple[str, ...]
    ) -> None:
        command = [sys.executable, "-P", "-m", "nestling_device.cli", "run", "--json"]
        if cloud:  # otherwise the identity has the addresses
            command += ["--cloud", cloud, "--broker", broker]
        if "--audit-share" not in arguments:  # they are random, and most tests count receipts
            command += ["--audit-share", "0"]
        command += ["--state", str(state), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.answers: list[Answer] = []  # taken so far
        self.events: list[dict[str, Any]] = []  # other lines of standard output so far
        self.stderr = ""
        self._lines: queue.Queue[Answer | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read_answers),
            threading.Thread(target=self._read_errors),
        ]

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def take(self, count: int) -> list[Answer]:
        """Wait for `count` more answers."""
        return [self._next() for _ in range(count)]

    def take_until(self, reason: str) -> Answer:
        """Wait for an answer with a reason."""
        while True:
            answer = self._next()
            if answer["reason"] == reason:
                return answer

    def take_until_route(self, route: str) -> Answer:
        """Wait for an answer by a route; fail after DEADLINE_S, even if other answers arrive."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            answer = self._next()
            if answer["route"] == route:
                return answer
            assert time.monotonic() < deadline, f"no answer by {route}"

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, wait for the end and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        while (line := self._lines.get(timeout=DEADLINE_S)) is not None:
            self.answers.append(line)
        return status

    def _next(self) -> Answer:
        answer = self._lines.get(timeout=DEADLINE_S)
        assert answer is not None, f"the device ended: {self.stderr}"
        self.answers.append(answer)
        return answer

    def _read_answers(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):  # a killed device may leave an incomplete line
                entry = json.loads(line)
                (self.events.append if "event" in entry else self._lines.put)(entry)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr += line
