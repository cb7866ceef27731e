"""Serves a cloud with its console, for tests of pages and of the API."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support import cloud_process
from tests.support.cloud_process import Cloud
from tests.support.hand_bundle import hand_repository
from tests.support.processes import DEADLINE_S


class Fleet:
    """A cloud, and a client of its API."""

    def __init__(self, cloud: Cloud, token: str) -> None:
        self.cloud = cloud
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: Any) -> httpx.Response:
        url = f"{self.cloud.console}/api/v1/{path}"
        return httpx.get(url, params=query or None, headers=self._headers, timeout=DEADLINE_S)

    def delete(self, path: str) -> httpx.Response:
        url = f"{self.cloud.console}/api/v1/{path}"
        return httpx.delete(url, headers=self._headers, timeout=DEADLINE_S)

    def put_text(self, path: str, body: str) -> httpx.Response:
        url = f"{self.cloud.console}/api/v1/{path}"
        headers = {**self._headers, "Content-Type": "application/json"}
        return httpx.put(url, content=body, headers=headers, timeout=DEADLINE_S)

    def put(self, path: str, body: Any) -> httpx.Response:
        url = f"{self.cloud.console}/api/v1/{path}"
        return httpx.put(url, json=body, headers=self._headers, timeout=DEADLINE_S)


@contextmanager
def serving(folder: Path, teacher: bytes, *arguments: str) -> Iterator[Fleet]:
    """Serve the hand-made bundle, without devices.

    Args:
        folder: folder for the repository, the store and the cloud's state.
        teacher: the teacher as ONNX.
        arguments: further arguments of the command.

    Yields:
        The cloud, with a client of its API.
    """
    hand_repository(folder / "repository", teacher)
    with serving_repository(folder, folder / "repository", *arguments) as fleet:
        yield fleet


@contextmanager
def serving_repository(folder: Path, repository: Path, *arguments: str) -> Iterator[Fleet]:
    """Serve a repository, without devices.

    Args:
        folder: folder for the store and the cloud's state.
        repository: folder of the repository.
        arguments: further arguments of the command.

    Yields:
        The cloud, with a client of its API.
    """
    state, log = folder / "state", folder / "cloud.log"
    command = cloud_process.command(
        repository,
        folder / "receipts.sqlite",
        *("--json", "--console-port", "0", "--state", str(state)),
        *arguments,
    )
    with (
        log.open("a") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            cloud = cloud_process.start(process, folder / "receipts.sqlite", log)
            yield Fleet(cloud, _token(state))
        finally:
            process.kill()
            sys.stderr.write(log.read_text())  # shown if a test failed


def _token(state: Path) -> str:
    command = [sys.executable, "-P", "-m", "nestling_cloud.cli"]
    command += ["console", "token", "add", "test", "--state", str(state)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
