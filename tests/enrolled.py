"""A secure cloud and its devices, by the commands that people run."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.processes import DEADLINE_S

TLS = ("--tls", "--enrolment-port", "0")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


def run(package: str, *arguments: str, stdin: str = "") -> Ended:
    """Run `nestling-cloud` or `nestling-device` to its end."""
    command = [sys.executable, "-P", "-m", f"nestling_{package}.cli", *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    return Ended(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def add(state: Path, name: str, *arguments: str) -> str:
    """Make a token for a device."""
    ended = run("cloud", "device", "add", name, "--state", str(state), "--json", *arguments)
    assert ended.status == 0, ended.stderr
    token: str = json.loads(ended.stdout)["token"]
    return token


def remove(state: Path, name: str) -> None:
    """Put a device out."""
    ended = run("cloud", "device", "remove", name, "--state", str(state))
    assert ended.status == 0, ended.stderr


def enrol(address: str, token: str, folder: Path) -> Ended:
    """Enrol a device."""
    return run(
        "device", "enrol", "--cloud", address, "--token-file", "-", "--state", str(folder),
        stdin=token,
    )  # fmt: skip
