"""The commands of docs/deploy.md work in order below a folder, and so does its producer."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cloud_process, enrolled
from tests.support.cloud_process import Cloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import hand_repository
from tests.support.pi_install import FOLDER, ROOT, copy_root
from tests.support.processes import DEADLINE_S, until

TEXT = (ROOT / "docs" / "deploy.md").read_text()
# Programs that need a Pi, systemd or a second machine; and commands that other tests run.
ELSEWHERE = {"ssh", "scp", "apt", "raspi-config", "systemctl", "journalctl"}
BY_THEMSELVES = {
    "python3 -m pip wheel --no-deps --wheel-dir dist .",  # the fixture `wheel`
    "make test-arm64",
}


def commands() -> list[str]:
    """Return every command of the page, in order, without sudo."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"^sudo (-u \w+ )?", "", line) for line in lines]


@pytest.fixture
def cloud(tmp_path: Path, tiny_teacher: bytes) -> Iterator[Cloud]:
    """Start a cloud with TLS."""
    hand_repository(tmp_path / "repository", tiny_teacher)
    store, log = tmp_path / "receipts.sqlite", tmp_path / "cloud.log"
    command = cloud_process.command(
        tmp_path / "repository", store, "--json", *enrolled.TLS, "--state", str(tmp_path / "cloud")
    )
    with log.open("a") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    with process:
        yield cloud_process.start(process, store, log)
        process.kill()
    sys.stderr.write(log.read_text())  # shown if the test failed


class Pi:
    """A folder that represents a Pi, and a home folder."""

    def __init__(self, root: Path, home: Path, enrolment: str) -> None:
        self.root = root
        self.home = home
        self._enrolment = enrolment

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        bin_folder = self.root / "opt" / "nestling" / "device" / "current" / "bin"
        return subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", self.here(command)],
            cwd=self.home,
            env={"PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=4 * DEADLINE_S,
            check=False,
        )

    def here(self, command: str) -> str:
        """Adapt a command of the page to this folder."""
        config = self.root / "etc" / "nestling" / "device.toml"
        changed = command.replace("cloud.example.org:8501", self._enrolment)
        changed = changed.replace("/var/lib/nestling", str(self.root / "var" / "lib" / "nestling"))
        changed = re.sub(
            r"(nestling-device (?:enrol|run|status|doctor|profile))",
            rf"\1 --config {config}",
            changed,
        )
        changed = changed.replace("profile --config", "profile --seconds 0.02 --config")
        return changed.replace("./install.sh", f"./install.sh --root {self.root}")


@pytest.fixture
def pi(installed: Path, wheel: Path, cloud: Cloud, tmp_path: Path) -> Pi:
    """Make a Pi with the wheel, the installer and a token in its home folder."""
    root = copy_root(installed, tmp_path / "pi")
    config = root / "etc" / "nestling" / "device.toml"
    config.write_text(config.read_text().replace("/var/lib", f"{root}/var/lib"))
    home = tmp_path / "home"
    shutil.copytree(FOLDER, home)
    shutil.copy(wheel, home)
    (home / "porch.token").write_text(enrolled.add(tmp_path / "cloud", "porch"))
    return Pi(root, home, cloud.enrolment)


def test_commands_of_the_page_work_from_install_to_purge(pi: Pi) -> None:
    done = {}
    for command in commands():
        if command.split()[0] in ELSEWHERE or command in BY_THEMSELVES:
            continue
        ended = pi.run(command)
        not_running = 3 if "status" in command else 0
        assert ended.returncode == not_running, f"{command}\n{ended.stdout}{ended.stderr}"
        done[command] = ended.stdout
        if "profile" in command:
            assert (pi.root / "var" / "lib" / "nestling" / "profile.json").exists()

    assert "porch" in done["nestling-device status"]
    assert "by mutual TLS" in done["nestling-device doctor"]
    assert len(done["nestling-device run --count 6 --interval 0.1"].splitlines()) == 6
    assert "doing" not in done["./install.sh --dry-run"]
    assert list(pi.root.rglob("*nestling*")) == []


def test_page_has_every_command_of_the_device_and_the_installer() -> None:
    found = " ".join(commands())

    for name in ("enrol", "run", "status", "doctor", "profile --write"):
        assert f"nestling-device {name}" in found
    for option in ("--dry-run", "--wheel", "--uninstall", "--purge"):
        assert option in found


def test_producer_example_gets_its_answer(pi: Pi, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (enrol,) = (line for line in commands() if line.startswith("nestling-device enrol"))
    assert pi.run(enrol).returncode == 0
    path = tmp_path / "inputs"
    example = example.replace("/run/nestling/inputs", str(path)).replace("(6, 100)", "(2, 3)")
    state = pi.root / "var" / "lib" / "nestling"

    with DeviceProcess(state, arguments=("--source", f"socket:{path}")) as device:
        until(path.exists)
        done = subprocess.run(
            [sys.executable, "-c", example],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        (answer,) = device.take(1)

    assert done.stdout.strip() == answer["answer"], done.stderr


def test_status_shown_on_the_page_has_the_lines_that_status_prints(pi: Pi) -> None:
    shown = re.findall(r"```\n(porch     running\n.*?)```", TEXT, re.DOTALL)[0]
    names = [line.split()[0] for line in shown.splitlines()]
    ended = pi.run("nestling-device status --json")

    found = json.loads(ended.stdout)
    assert set(names[1:]) <= set(found)
