"""The wheel of this tree installs and runs in empty environments."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support import cloud_process
from tests.support.cloud_process import Cloud
from tests.support.fleet_tasks import ROOT
from tests.support.hand_bundle import hand_repository
from tests.support.processes import DEADLINE_S

# Wheels of a hundred megabytes may have to be downloaded and unpacked.
_INSTALL_S = 900
_RUN_S = 600

Install = Callable[[str], Path]


@pytest.fixture
def install(wheel: Path, tmp_path: Path) -> Install:
    """Return a function that installs the wheel with an extra and returns its programs' folder."""

    def make(extra: str) -> Path:
        folder = tmp_path / "environment"
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=_INSTALL_S)
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--quiet"]
        subprocess.run([*pip, *constraints, f"{wheel}{extra}"], check=True, timeout=_INSTALL_S)
        return folder / "bin"

    return make


@pytest.fixture
def released(tmp_path: Path, tiny_teacher: bytes) -> Path:
    """Make a repository with a bundle that devices can run, and return its folder."""
    folder = tmp_path / "repository"
    hand_repository(folder, tiny_teacher)
    return folder


def _environment(folder: Path) -> dict[str, str]:
    """Return environment variables without any reference to this tree."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _run(program: Path, *arguments: str, folder: Path) -> str:
    """Run an installed program in an empty folder, and return its output."""
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(_INSTALL_S + _RUN_S)
def test_base_wheel_runs_a_device(install: Install, cloud: Cloud, tmp_path: Path) -> None:
    programs = install("")

    arguments = ["--cloud", cloud.grpc, "--broker", str(cloud.broker), "--count", "3"]
    arguments += ["--audit-share", "0"]  # audits are drawn at random
    answers = _run(
        programs / "nestling-device",
        *("run", *arguments, "--interval", "0.01", "--json"),
        folder=tmp_path,
    )

    assert len(answers.splitlines()) == 3


@pytest.mark.timeout(_INSTALL_S + _RUN_S)
def test_cloud_extra_serves_with_broker_and_console(
    install: Install, released: Path, tmp_path: Path
) -> None:
    programs = install("[cloud]")
    command = cloud_process.command(
        released, tmp_path / "receipts.sqlite", "--console-port", "0", "--json"
    )
    serve = command[command.index("serve") :]

    with subprocess.Popen(
        [programs / "nestling-cloud", *serve],
        cwd=tmp_path,
        env=_environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        healthy = httpx.get(f"{ready['console']}/healthz", timeout=DEADLINE_S).status_code
        process.send_signal(signal.SIGTERM)
        status = process.wait(DEADLINE_S)

    assert (healthy, status) == (200, 0)


@pytest.mark.timeout(_INSTALL_S + _RUN_S)
def test_sim_extra_trains_ships_and_runs_a_fleet(install: Install, tmp_path: Path) -> None:
    programs = install("[sim]")

    task = f"{ROOT / 'docs' / 'examples' / 'digits.py'}:TASK"
    output = _run(programs / "nestling-sim", "run", "--task", task, "--json", folder=tmp_path)

    summary = json.loads(output)
    assert summary["inputs"] == summary["answered"]
