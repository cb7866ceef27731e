"""Flower's own programs, started offline: SuperLink and `flwr`, and the app that is handed to them.

By default Flower reports usage and looks for updates; nothing that Nestling starts does.
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
# What a shell has set for Python at a terminal.
_NOT_INHERITED = {"PYTHONSTARTUP", "PYTHONINSPECT"}
_STOP_TIMEOUT_S = 30.0
_FINISHED = "finished:"  # before how it ended

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
    """A Flower program that is not installed, or that failed."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A SuperLink, and the certificates that it is known by; None on loopback only."""

    address: Address
    root_certificates: Path | None


def program(name: str) -> str:
    """Path of a Flower program, first of this environment.

    Raises:
        FlowerError: it is not installed.
    """
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise FlowerError(f"no {name} here: pip install 'nestling[federated]'")
    return found


def environment(home: Path | None = None, *hosts: str) -> dict[str, str]:
    """Environment for Flower's programs: quiet, and finding each other past any proxy.

    Args:
        home: folder for what they keep; by default their own choice.
        hosts: of the SuperLink, if not this machine.
    """
    beside = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    made = {**bypass_proxies(inherited, *hosts), **_QUIET}
    made["PATH"] = f"{beside}{os.pathsep}{made.get('PATH', '')}"
    if home is not None:
        made["FLWR_HOME"] = str(home)
    return made


def write_app(folder: Path, config: RunConfig) -> None:
    """Write the Flower app: a project file and two modules of one import each.

    Args:
        folder: made if need be.
        config: becomes the run configuration, in the project file.
    """
    package = folder / "nestling_rounds"
    package.mkdir(parents=True, exist_ok=True)
    # A string of JSON is one of TOML, too.
    values = [f"{key} = {json.dumps(value)}\n" for key, value in config.values().items()]
    (folder / "pyproject.toml").write_text(_PROJECT + "".join(values), "utf-8")
    (package / "__init__.py").write_text("", "utf-8")
    (package / "server.py").write_text(_SERVER, "utf-8")
    (package / "client.py").write_text(_CLIENT, "utf-8")


def run_app(folder: Path, home: Path, link: Link, *, timeout_s: float) -> str:
    """Hand an app to a SuperLink and wait for the run's end.

    `flwr run` ends well when the run was taken, and its stream when it is over, however it went:
    only the run's status tells whether it went well.

    Args:
        folder: with the app, as `write_app` wrote it; all in it goes to the SuperLink.
        home: for what `flwr` keeps.
        link: who runs it.
        timeout_s: how long to wait.

    Returns:
        How it ended, for example "completed" or "failed".

    Raises:
        FlowerError: the SuperLink did not take it, or it did not end in time.
        KeyboardInterrupt: Ctrl-C; it says whether the run was stopped at the SuperLink.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(_connection(link), "utf-8")
    number = ""
    try:
        with _interrupt_held():  # a run that was handed over, and nobody knows which, goes on
            started = _flwr(home, link, ["run", str(folder), _CONNECTION, "--format", "json"], None)
            number = str(_json(started)["run-id"])
        _flwr(home, link, ["log", number, _CONNECTION, "--stream"], timeout_s)
    except KeyboardInterrupt:
        if not number:
            raise
        raise KeyboardInterrupt(_stop(home, link, number)) from None
    told = _json(
        _flwr(home, link, ["ls", _CONNECTION, "--run-id", number, "--format", "json"], None)
    )
    status = str(told["runs"][0]["status"])
    if not status.startswith(_FINISHED):
        raise FlowerError(f"run {number} is {status}: the SuperLink stopped talking of it")
    return status.removeprefix(_FINISHED)


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, here and in the programs that it starts."""
    came = threading.Event()
    handler = signal.signal(signal.SIGINT, lambda *_: came.set())
    # The programs inherit the mask of this thread; a signal to us goes to any other thread.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came.is_set():
        raise KeyboardInterrupt


def _stop(home: Path, link: Link, number: str) -> str:
    """Stop a run, which would go on and release a bundle; returns what came of it."""
    # A second Ctrl-C must not cut this short, here or in flwr.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _json(_flwr(home, link, ["stop", number, _CONNECTION, "--format", "json"], _STOP_TIMEOUT_S))
    except FlowerError as err:
        why = str(err).splitlines()[-1]
        return f"run {number} was not stopped at the SuperLink and may release a bundle: {why}"
    finally:
        signal.signal(signal.SIGINT, before)
    return f"stopped, and run {number} with it at the SuperLink"


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
            encoding="utf-8",  # whatever the locale's; what is none is for people to read
            errors="replace",
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise FlowerError(
            f"flwr {arguments[0]} did not end within {timeout_s:g} s; the run goes on at the "
            "SuperLink, and nestling-cloud federated rounds shows what comes of it"
        ) from None
    if done.returncode:
        raise FlowerError(f"flwr {arguments[0]}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def _json(text: str) -> Mapping[str, Any]:
    """What flwr says in JSON, a failure too, among words that it says besides."""
    try:
        told: Mapping[str, Any] = parse_json(text[text.index("{") :])
    except ValueError as err:
        raise FlowerError(f"flwr did not answer in JSON: {text.strip()[-600:]}") from err
    if not told.get("success", True):
        raise FlowerError(f"flwr: {told.get('error-message', 'it failed')}")
    return told
