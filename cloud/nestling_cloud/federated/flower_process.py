"""Starts Flower's programs and writes the app that they run.

The programs are SuperLink, which devices connect to, and the command `flwr`. Flower's usage reports
and update checks, which are on by default, are turned off in everything that Nestling starts.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestling_cloud.errors import CloudError
from nestling_cloud.federated.run_config import RunConfig
from nestling_core.network.address import Address
from nestling_core.network.flower_environment import flower_environment
from nestling_core.parsing.untrusted_data import parse_json

_CONNECTION = "nestling"
_STOP_TIMEOUT_S = 30.0
_FINISHED = "finished:"  # prefix of the status of a finished run

_SERVER = "from nestling_cloud.federated.server_app import app\n\n__all__ = ['app']\n"
_CLIENT = "from nestling_device.federated.client_app import app\n\n__all__ = ['app']\n"
_PROJECT = """\
[project]
name = "nestling-rounds"
version = "1.0.0"
description = "Federated rounds of a nest: both sides come with nestling[federated]."
license = "Apache-2.0"
dependencies = []

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "nestling"

[tool.flwr.app.components]
serverapp = "nestling_rounds.server:app"
clientapp = "nestling_rounds.client:app"

[tool.flwr.app.config]
"""


class FlowerError(CloudError):
    """Raised when a Flower program is not installed, fails, or does not end in time."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """The address of a SuperLink and the certificates that verify it.

    Attributes:
        address: the host and port of the SuperLink.
        root_certificates: the PEM file that verifies the SuperLink's certificate. None for a
            connection on loopback without TLS.
    """

    address: Address
    root_certificates: Path | None


def program(name: str) -> str:
    """Return the path of a Flower program.

    This Python environment is searched first, then the folders of the PATH.

    Raises:
        FlowerError: the program is not installed.
    """
    scripts = Path(sys.executable).parent
    path = shutil.which(name, path=f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}")
    if path is None:
        raise FlowerError(f"{name} is not installed: pip install 'nestling[federated]'")
    return path


def write_app(folder: Path, config: RunConfig) -> None:
    """Write the Flower app that runs the rounds.

    The app consists of a project file and of two modules, which only import Nestling's server app
    and client app.

    Args:
        folder: the folder to write to, which is created if it does not exist.
        config: the configuration of the run, which is stored in the project file.
    """
    package = folder / "nestling_rounds"
    package.mkdir(parents=True, exist_ok=True)
    # A JSON string is also a valid TOML string.
    values = [f"{key} = {json.dumps(value)}\n" for key, value in config.values().items()]
    (folder / "pyproject.toml").write_text(_PROJECT + "".join(values), "utf-8")
    (package / "__init__.py").write_text("", "utf-8")
    (package / "server.py").write_text(_SERVER, "utf-8")
    (package / "client.py").write_text(_CLIENT, "utf-8")


def run_app(folder: Path, home: Path, link: Link, *, timeout_s: float) -> str:
    """Run an app at a SuperLink, wait until the run ends, and return the result.

    `flwr run` succeeds as soon as the SuperLink accepts the run, and the log stream ends in the
    same way for successful and failed runs. The result is therefore read from the run's status.

    Args:
        folder: the folder written by `write_app`, whose files are all sent to the SuperLink.
        home: the folder for `flwr`'s own files.
        link: the SuperLink.
        timeout_s: the longest time to wait for the end of the run after its start, in seconds.

    Returns:
        The result of the run, for example "completed" or "failed".

    Raises:
        FlowerError: `flwr` is not installed or fails, the SuperLink does not accept the run, or the
            run does not end in time.
        KeyboardInterrupt: Ctrl-C was pressed; the text says whether the run was stopped.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(_connection(link), "utf-8")
    number = ""
    try:
        with _interrupt_held():  # without its number, an accepted run could not be stopped
            started = _flwr(home, link, ["run", str(folder), _CONNECTION, "--format", "json"], None)
            number = str(_json(started)["run-id"])
        _flwr(home, link, ["log", number, _CONNECTION, "--stream"], timeout_s)
    except KeyboardInterrupt:
        if not number:
            raise
        raise KeyboardInterrupt(_stop(home, link, number)) from None
    listing = _json(
        _flwr(home, link, ["ls", _CONNECTION, "--run-id", number, "--format", "json"], None)
    )
    status = str(listing["runs"][0]["status"])
    if not status.startswith(_FINISHED):
        raise FlowerError(
            f"run {number} is {status}, but the SuperLink ended its log; nestling-cloud federated "
            "rounds shows its rounds"
        )
    return status.removeprefix(_FINISHED)


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Delay Ctrl-C until the block ends, in this process and in programs that the block starts.

    If Ctrl-C was pressed, KeyboardInterrupt is raised after the block.
    """
    pressed = threading.Event()
    handler = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    # Programs inherit this thread's mask; a signal to this process goes to another thread.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if pressed.is_set():
        raise KeyboardInterrupt


def _stop(home: Path, link: Link, number: str) -> str:
    """Stop a run at the SuperLink, and return a message that says whether this succeeded.

    A run that is not stopped could still release a bundle.
    """
    # A second Ctrl-C must not cut this short, here or in flwr.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _json(_flwr(home, link, ["stop", number, _CONNECTION, "--format", "json"], _STOP_TIMEOUT_S))
    except FlowerError as err:
        reason = str(err).splitlines()[-1]
        return (
            f"run {number} could not be stopped at the SuperLink and may release a bundle: {reason}"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    return f"stopped; run {number} was stopped at the SuperLink too"


def _connection(link: Link) -> str:
    lines = [f"[superlink.{_CONNECTION}]", f"address = {json.dumps(str(link.address))}"]
    if link.root_certificates is None:
        lines.append("insecure = true")
    else:
        lines.append(f"root-certificates = {json.dumps(str(link.root_certificates.absolute()))}")
    return "\n".join([*lines, ""])


def _flwr(home: Path, link: Link, arguments: Sequence[str], timeout_s: float | None) -> str:
    try:
        done = subprocess.run(
            [program("flwr"), *arguments],
            env={**flower_environment(link.address.host), "FLWR_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",  # regardless of the locale; invalid bytes only affect messages
            errors="replace",
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise FlowerError(
            f"flwr {arguments[0]} did not end within {timeout_s:g} s; the run continues at the "
            "SuperLink, and nestling-cloud federated rounds shows its result"
        ) from None
    if done.returncode:
        raise FlowerError(f"flwr {arguments[0]}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def _json(text: str) -> Mapping[str, Any]:
    """Return the JSON object in flwr's output, which may begin with other text.

    Raises FlowerError if there is no JSON object, or if the object reports a failure.
    """
    try:
        output: Mapping[str, Any] = parse_json(text[text.index("{") :])
    except ValueError as err:
        raise FlowerError(f"flwr did not print JSON: {text.strip()[-600:]}") from err
    if not output.get("success", True):
        raise FlowerError(f"flwr: {output.get('error-message', 'it failed')}")
    return output
