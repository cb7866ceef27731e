"""Start Flower's programs, SuperLink and `flwr`, and write the app that they run.

Flower's usage reports and update checks, which are on by default, are off in everything that
Nestling starts.
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
from nestling_core.network.proxies import bypass_proxies
from nestling_core.parsing.untrusted import parse_json

_CONNECTION = "nestling"
_QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
# Settings for interactive Python that a shell may have exported.
_NOT_INHERITED = {"PYTHONSTARTUP", "PYTHONINSPECT"}
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
    """A Flower program is not installed, or it failed."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """How to reach a SuperLink.

    Attributes:
        address: host and port.
        root_certificates: PEM file to verify the SuperLink with; None connects without TLS, which
            is for loopback only.
    """

    address: Address
    root_certificates: Path | None


def program(name: str) -> str:
    """Return the path of a Flower program; this Python environment is searched first.

    Raises:
        FlowerError: the program is not installed.
    """
    scripts = Path(sys.executable).parent
    path = shutil.which(name, path=f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}")
    if path is None:
        raise FlowerError(f"{name} is not installed: pip install 'nestling[federated]'")
    return path


def environment(home: Path | None = None, *hosts: str) -> dict[str, str]:
    """Return the environment for Flower's programs: no usage reports, and no proxy between them.

    Args:
        home: folder for Flower's own files; None for Flower's default.
        hosts: hosts of the SuperLink, if it is not on this machine.
    """
    scripts = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    variables = {**bypass_proxies(inherited, *hosts), **_QUIET}
    variables["PATH"] = f"{scripts}{os.pathsep}{variables.get('PATH', '')}"
    if home is not None:
        variables["FLWR_HOME"] = str(home)
    return variables


def write_app(folder: Path, config: RunConfig) -> None:
    """Write the Flower app: a project file and two modules with one import each.

    Args:
        folder: folder to write to; created if it does not exist.
        config: run configuration, stored in the project file.
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
    """Submit an app to a SuperLink and wait until its run ends.

    `flwr run` succeeds when the run is accepted, and the log stream ends when the run is over,
    whatever its result. Only the run's status shows whether it succeeded.

    Args:
        folder: folder written by `write_app`; all its files are sent to the SuperLink.
        home: folder for `flwr`'s own files.
        link: the SuperLink.
        timeout_s: most time to wait for the end of the run.

    Returns:
        The result of the run, for example "completed" or "failed".

    Raises:
        FlowerError: the SuperLink did not accept the run, or the run did not end in time.
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
    """Delay Ctrl-C until the end of the block, here and in the programs that the block starts."""
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
    """Stop a run, which could otherwise release a bundle, and return a message about the result."""
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
            env=environment(home, link.address.host),
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
    """Parse the JSON in flwr's output, which may begin with other text; raise if it failed."""
    try:
        output: Mapping[str, Any] = parse_json(text[text.index("{") :])
    except ValueError as err:
        raise FlowerError(f"flwr did not print JSON: {text.strip()[-600:]}") from err
    if not output.get("success", True):
        raise FlowerError(f"flwr: {output.get('error-message', 'it failed')}")
    return output
