"""Real clouds for the tests that need one."""

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
    """Starts clouds on free ports over the released repository, and ends them afterwards."""
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
    """One cloud with a broker of its own."""
    return start_cloud()


@pytest.fixture
def cloud_channel(cloud: Cloud) -> Iterator[grpc.Channel]:
    """A gRPC channel to it."""
    with grpc.insecure_channel(cloud.grpc) as channel:
        yield channel


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests that look at pages; each logs in again."""
    with browsers.chromium(required(CHROMIUM)) as opened:
        yield opened


@pytest.fixture(scope="session")
def fleet_cache(trained: TrainedTask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the small bundle in it, for runs of the tasks in short_streams.py."""
    cache = tmp_path_factory.mktemp("cache")
    fill_cache(cache, trained.repository, seed=SEED)
    return cache


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return pi_install.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with nestling-device in it, by the installer; leave it as it is."""
    root = tmp_path_factory.mktemp("root")
    assert pi_install.install("--wheel", str(wheel), "--root", str(root)).returncode == 0
    return root
