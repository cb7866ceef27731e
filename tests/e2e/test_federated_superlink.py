"""Federated rounds as on real machines: commands start a SuperLink and two SuperNodes with TLS."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from nestling_cloud.federated.flower_process import FlowerError, Link, run_app, write_app
from nestling_cloud.federated.round_log import Round, RoundLog
from nestling_cloud.store.store import store_url
from nestling_core.network.address import Address
from tests.support.certificates import ServerFiles, make_server_files
from tests.support.learning_fleet import TASK, LearningFleet, NodeConfig, learning_fleet
from tests.support.processes import until

DESCRIBED = ("id", "state", "memory-kb")

pytestmark = pytest.mark.timeout(600)  # every message starts a process that imports torch


@pytest.fixture(scope="module")
def fleet(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> LearningFleet:
    folder = tmp_path_factory.mktemp("fleet")
    repository = shutil.copytree(tiny_bundle, folder / "repository")
    return learning_fleet(repository, folder, (3, 2))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(module: str, *arguments: str, home: Path, log: IO[str]) -> Iterator[None]:
    """Run a command for the length of the block, then end it and all its children."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, "federated", *arguments],
        env={**os.environ, "FLWR_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


@contextmanager
def superlink(files: ServerFiles, folder: Path, log: IO[str]) -> Iterator[int]:
    port = free_port()
    arguments = [
        *("link", "--port", str(port), "--certificate", str(files.certificate)),
        *("--key", str(files.key), "--ca", str(files.authority)),
    ]
    with running("nestling_cloud.cli", *arguments, home=folder / "link", log=log):
        until(lambda: listens(port))
        yield port


def by_flags(node: NodeConfig, _: Path) -> list[str]:
    """Return a node's description as flags."""
    return [word for name in DESCRIBED for word in (f"--{name}", str(node[name]))]


def by_file(node: NodeConfig, folder: Path) -> list[str]:
    """Write a node's description into a configuration file and return the flag for it."""
    path = folder / f"{node['id']}.toml"
    path.write_text(
        f'[device]\nid = "{node["id"]}"\nstate = "{node["state"]}"\n'
        f"[budget]\nmemory_kb = {node['memory-kb']}\n"
    )
    return ["--config", str(path)]


def supernode(
    described: list[str], port: int, files: ServerFiles, home: Path, log: IO[str]
) -> AbstractContextManager[None]:
    arguments = [
        *("join", "--superlink", f"127.0.0.1:{port}"),
        *("--root-certificates", str(files.authority), "--port", str(free_port())),
    ]
    return running("nestling_device.cli", *arguments, *described, home=home, log=log)


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Two successive runs.

    Attributes:
        first: the first command.
        second: the second command.
        rounds: logged rounds, newest first.
    """

    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]
    rounds: list[Round]


@pytest.fixture(scope="module")
def runs(fleet: LearningFleet, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("link")
    files = make_server_files(folder / "certificates")
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w"))
        port = stack.enter_context(superlink(files, folder, log))
        for node, describe in zip(fleet.nodes, (by_flags, by_file), strict=True):
            described = ["--data", str(node["data"]), *describe(node, folder)]
            home = folder / str(node["id"])
            stack.enter_context(supernode(described, port, files, home, log))
        command = [
            *(sys.executable, "-P", "-m", "nestling_cloud.cli", "federated", "run"),
            *("--repository", str(fleet.repository.root), "--task", TASK),
            *("--store", str(fleet.store), "--superlink", f"127.0.0.1:{port}"),
            *("--root-certificates", str(files.authority), "--rounds", "1", "--margin", "20"),
        ]
        first = subprocess.run(command, capture_output=True, text=True, check=False)
        # The devices did not get the new release, so they still run the old one.
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stderr.write((folder / "log").read_text()[-6000:])  # shown if a test fails
    with RoundLog(store_url(str(fleet.store))) as kept:
        return Runs(first=first, second=second, rounds=kept.rounds())


def test_rounds_over_a_superlink_release_the_next_bundle(runs: Runs, fleet: LearningFleet) -> None:
    assert runs.first.returncode == 0, runs.first.stderr
    desired = fleet.repository.desired()
    assert desired is not None
    assert desired.release == 2
    assert runs.rounds[1].released == desired.bundle_version
    assert f"released {desired.bundle_version}" in runs.first.stdout


def test_both_nodes_participate_with_the_capacity_of_their_budget(runs: Runs) -> None:
    first = runs.rounds[1]

    assert first.dropped == ()
    assert {one.device: one.capacity for one in first.participants} == {
        "device-1": 3,
        "device-2": 2,
    }
    assert first.bytes_up > 0


def test_run_that_ends_without_a_release_fails_with_the_reason(
    runs: Runs, fleet: LearningFleet
) -> None:
    latest = runs.rounds[0]

    assert runs.second.returncode == 1
    assert "the run failed: not released: no round had 2 usable updates" in runs.second.stderr
    assert {one.device for one in latest.dropped} == {"device-1", "device-2"}
    assert all("but the rounds start from tiny-2-" in one.reason for one in latest.dropped)
    assert (latest.averaged, latest.released) == (False, None)
    assert fleet.repository.manifest().release == 2


def test_unreachable_superlink_is_an_error(fleet: LearningFleet, tmp_path: Path) -> None:
    write_app(tmp_path / "app", fleet.config())
    link = Link(address=Address(host="127.0.0.1", port=free_port()), root_certificates=None)

    with pytest.raises(FlowerError, match="Connection to the SuperLink is unavailable"):
        run_app(tmp_path / "app", tmp_path / "home", link, timeout_s=60)
