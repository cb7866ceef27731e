"""Fixtures for end-to-end tests: real clouds, a browser, the wheel and an installed device."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.support import browser as browsers
from tests.support import cloud_process, pi_install
from tests.support.browser import Browser
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.fleet_tasks import fill_cache
from tests.support.needs import CHROMIUM
from tests.support.skipping import required
from tests.support.trained import SEED, TrainedTask


@pytest.fixture
def start_cloud(released: Path, tmp_path: Path) -> Iterator[StartCloud]:
    """Return a function that starts clouds on free ports over the released repository."""
    processes: list[subprocess.Popen[str]] = []
    log = tmp_path / "cloud.log"

    def start(*arguments: str) -> Cloud:
        store = tmp_path / "receipts.sqlite"
        command = cloud_process.command(released, store, "--json", *arguments)
        with log.open("a") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        processes.append(process)
        return cloud_process.start(process, store, log)

    yield start
    for process in processes:
        with process:
            process.kill()
    sys.stderr.write(log.read_text() if log.exists() else "")  # shown if the test failed


@pytest.fixture
def cloud(start_cloud: StartCloud) -> Cloud:
    """Start a cloud with its own broker."""
    return start_cloud()


@pytest.fixture
def cloud_channel(cloud: Cloud) -> Iterator[grpc.Channel]:
    """Open a gRPC channel to the cloud."""
    with grpc.insecure_channel(cloud.grpc) as channel:
        yield channel


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start one Chromium for all tests that look at pages; each test logs in again."""
    with browsers.chromium(required(CHROMIUM)) as opened:
        yield opened


@pytest.fixture(scope="session")
def fleet_cache(trained: TrainedTask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a cache with the small bundle, for runs of the tasks in short_streams.py."""
    cache = tmp_path_factory.mktemp("cache")
    fill_cache(cache, trained.repository, seed=SEED)
    return cache


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this tree."""
    return pi_install.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install nestling-device into a root folder; tests must not change it."""
    root = tmp_path_factory.mktemp("root")
    assert pi_install.install("--wheel", str(wheel), "--root", str(root)).returncode == 0
    return root
