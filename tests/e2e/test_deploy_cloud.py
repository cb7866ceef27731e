"""The commands of docs/deploy-cloud.md work, and the files in deploy/cloud are consistent.

Containers are checked as far as that is possible without a container engine.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from nestling_cloud import cli
from nestling_cloud.fleet.enrolment import Enrolment
from tests.support import enrolled
from tests.support.hand_bundle import hand_repository
from tests.support.needs import MOSQUITTO, SYSTEMD
from tests.support.processes import DEADLINE_S, until
from tests.support.skipping import needs, required

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "cloud"
NAME = "cloud.example.org"
_BASH = "/bin/bash"
BY_HAND, SERVICE, BROKER, CONTAINERS = (
    "By hand",
    "As a service",
    "A broker by itself",
    "In containers",
)
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.path")])


def sections() -> dict[str, list[str]]:
    """Return the commands of docs/deploy-cloud.md by heading."""
    text = (ROOT / "docs" / "deploy-cloud.md").read_text()
    found = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        if blocks:
            found[section.splitlines()[0]] = [
                line for block in blocks for line in block.splitlines()
            ]
    return found


class Terminal:
    """Runs commands in one folder, as a person would."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        paths = [str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"]
        self.environment = {**os.environ, "PATH": os.pathsep.join(paths)}

    def run(self, command: str) -> str:
        done = subprocess.run(
            [_BASH, "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def leave_running(self, command: str) -> subprocess.Popen[str]:
        process = self._stack.enter_context(
            subprocess.Popen(
                [_BASH, "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._stack.callback(process.kill)
        return process

    def serve(self, command: str) -> dict[str, str]:
        """Start a cloud on free ports and return its addresses."""
        cloud = self.leave_running(
            f"{command} --port 0 --enrolment-port 0 --broker-port 0 --console-port 0 --json"
        )
        assert cloud.stdout is not None
        ready: dict[str, str] = json.loads(cloud.stdout.readline())
        return ready


@pytest.fixture
def terminal(tmp_path: Path, tiny_teacher: bytes) -> Iterator[Terminal]:
    hand_repository(tmp_path / "repository", tiny_teacher)
    with ExitStack() as stack:
        yield Terminal(tmp_path, stack)


def here(command: str, enrolment: str = "") -> str:
    """Adapt a command of the document to this machine."""
    return command.replace(f"{NAME}:8501", enrolment).replace(NAME, "127.0.0.1")


def test_every_section_with_commands_is_tested() -> None:
    assert set(sections()) == {BY_HAND, SERVICE, BROKER, CONTAINERS}


@needs(MOSQUITTO)
def test_cloud_started_by_hand_works(terminal: Terminal) -> None:
    serve, *rest = sections()[BY_HAND]
    ready = terminal.serve(here(serve))

    outputs = [terminal.run(here(command, ready["enrolment"])) for command in rest]

    assert re.fullmatch(r"\S{500,}\n", (terminal.folder / "porch.token").read_text())
    assert (terminal.folder / "porch.token").stat().st_mode & 0o077 == 0
    assert outputs[0] == ""  # messages go to standard error, and the secret only to the file
    answers = next(text for command, text in zip(rest, outputs, strict=True) if " run " in command)
    assert len(answers.splitlines()) == 6
    listed = next(text for command, text in zip(rest, outputs, strict=True) if " list" in command)
    assert re.match(r"porch +enrolled +\d{4}-", listed)
    assert "removed" in terminal.run("nestling-cloud device list")


@needs(MOSQUITTO)
def test_separate_broker_works(terminal: Terminal) -> None:
    configure, mosquitto, serve, *services = sections()[BROKER]
    port = _free_port()
    terminal.run(f"{here(configure)} --port {port}")
    terminal.leave_running(mosquitto)
    ready = terminal.serve(here(serve).replace(":8883", f":{port}"))
    token = enrolled.add(terminal.folder / "nestling-cloud", "porch")

    assert ready["broker"] == f"127.0.0.1:{port}"
    assert enrolled.enrol(ready["enrolment"], token, terminal.folder / "porch").status == 0
    run = "nestling-device run --state porch --count 3 --interval 0.01 --delivery mqtt"
    assert len(terminal.run(run).splitlines()) == 3
    terminal.run("nestling-device run --state porch --count 3 --interval 0.01")
    for command in services:
        _run_as_service(terminal, command)


@needs(MOSQUITTO)
def test_script_makes_the_broker_reload_its_lists(terminal: Terminal) -> None:
    port, state = _free_port(), terminal.folder / "cloud"
    terminal.run(f"nestling-cloud broker-config --state cloud --port {port}")
    broker = terminal.leave_running(f"{DEPLOY}/run-broker.sh {state}/broker")
    with Enrolment.open(state) as enrolment:
        papers = enrolled.papers(enrolment, "porch")
    for name, text in (("key", papers.key), ("certificate", papers.certificate)):
        (terminal.folder / f"{name}.pem").write_text(text)
    publish = (
        f"mosquitto_pub -h 127.0.0.1 -p {port} --cafile {state}/broker/ca.pem --cert "
        "certificate.pem --key key.pem -t nestling/v1/porch/delivery/request -m word -q 1"
    )

    def is_let_in() -> bool:
        done = subprocess.run(
            shlex.split(publish), cwd=terminal.folder, capture_output=True, check=False
        )
        return done.returncode == 0

    until(is_let_in)
    enrolled.remove(state, "porch")
    until(lambda: not is_let_in())
    broker.send_signal(signal.SIGTERM)
    broker.wait(DEADLINE_S)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as the Containerfile does."""
    folder = tmp_path_factory.mktemp("wheels")
    (build,) = (line for line in _instructions("Containerfile") if "pip wheel" in line)
    command = build.removeprefix("RUN ").replace("/src", str(ROOT)).replace("/wheels", str(folder))
    command = command.replace("python ", f"{sys.executable} -P ")
    subprocess.run(shlex.split(command), check=True, capture_output=True, cwd=folder)
    (made,) = folder.iterdir()
    return made


@needs(SYSTEMD)
def test_service_is_installed_as_documented(terminal: Terminal, wheel: Path) -> None:
    terminal.environment["WHEEL"] = str(wheel)
    outputs = [_run_as_service(terminal, command) for command in sections()[SERVICE]]

    assert re.fullmatch(r"[\w-]{300,}\n", outputs[-1])  # a token
    system = terminal.folder / "system"
    assert NAME not in (system / "etc" / "nestling" / "cloud.env").read_text()
    wants = system / "etc" / "systemd" / "system" / "multi-user.target.wants"
    assert (wants / "nestling-cloud.service").is_symlink()
    assert (system / "var" / "lib" / "nestling-cloud" / "repository" / "blobs").is_dir()


def _run_as_service(terminal: Terminal, command: str) -> str:
    """Run an administrator's command on a folder that represents a system."""
    system = terminal.folder / "system"
    for folder in ("etc/systemd/system", "etc/nestling", "var/lib", "opt"):
        (system / folder).mkdir(parents=True, exist_ok=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (system / "etc" / name).touch()
    if not (terminal.folder / "deploy").exists():
        (terminal.folder / "deploy").symlink_to(ROOT / "deploy")
    for old, new in (
        ("sudo -u nestling-cloud ", ""),
        ("sudo ", ""),
        ("-o nestling-cloud -g nestling-cloud ", ""),
        ("chown -R nestling-cloud: ", f"chown -R {os.getuid()} "),
        ("useradd ", f"useradd --prefix {system} "),
        ("systemctl enable --now", f"systemctl --root={system} enable"),
        ("--constraint constraints.txt '.[cloud]'", "--no-index --no-deps $WHEEL"),
        ("/opt/nestling-cloud/bin/nestling-cloud", "python3 -P -m nestling_cloud.cli"),
        (" --state", " --cloud 127.0.0.1:8501 --state"),
    ):
        command = command.replace(old, new)
    return terminal.run(re.sub(r"(?<!\S)/(etc|opt|var)/", rf"{system}/\1/", command))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_unit_passes_systemd_verify(unit: Path, tmp_path: Path) -> None:
    for each in UNITS:
        text = each.read_text().replace("/opt/nestling-cloud/bin", str(Path(sys.executable).parent))
        (tmp_path / each.name).write_text(text)

    done = subprocess.run(
        [required(SYSTEMD), "verify", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["nestling-cloud.service", "nestling-broker.service"])
def test_service_is_confined(unit: str) -> None:
    done = subprocess.run(
        [required(SYSTEMD), "security", "--offline=true", "--threshold=20", str(DEPLOY / unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_units_use_existing_commands(tmp_path: Path) -> None:
    options = {
        variable: value
        for name in ("cloud", "broker")
        for variable, _, value in [
            (DEPLOY / f"{name}.env").read_text().splitlines()[-1].partition("=")
        ]
    }
    commands = [
        line.partition("=")[2]
        for unit in UNITS
        for line in unit.read_text().splitlines()
        if line.startswith("Exec") and "nestling-cloud " in line
    ]

    assert len(commands) == 2
    for command in commands:
        for name, value in options.items():
            command = command.replace(f"${name}", value)  # noqa: PLW2901
        words = shlex.split(command.replace("/var/lib", str(tmp_path)))
        assert cli.parser().parse_args(words[1:]).public_host == NAME


@pytest.mark.parametrize("name", ["Containerfile", "Containerfile.broker"])
def test_steps_of_an_image_work(name: str, wheel: Path, tmp_path: Path) -> None:
    for line in _instructions(name):
        keyword, _, rest = line.partition(" ")
        if keyword == "COPY" and not rest.startswith("--from"):
            assert (ROOT / rest.split()[0]).exists()
        if keyword == "RUN" and "pip install" in rest:
            assert '"nestling[cloud]"' in rest
            target = [
                "--no-deps",
                "--no-index",
                "--target",
                str(tmp_path / "workspace"),
                str(wheel),
            ]
            command = [sys.executable, "-P", "-m", "pip", "install", "--quiet", *target]
            subprocess.run(command, check=True)
        if keyword == "RUN" and "apt-get" in rest:
            required(MOSQUITTO)  # on the machine, as in the image
            (packages,) = re.findall(r"--no-install-recommends ([\w -]+?) &&", rest)
            subprocess.run(
                ["/usr/bin/dpkg", "-s", *packages.split()], check=True, capture_output=True
            )
        if keyword == "RUN" and rest.startswith("mkdir"):
            folder = str(tmp_path / "nestling")
            Path(folder).mkdir()
            subprocess.run(shlex.split(rest.replace("/var/lib/nestling", folder)), check=True)
    if name == "Containerfile":
        command = [word.replace("/var/lib", str(tmp_path)) for word in _words(name, "CMD")]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "nestling_cloud.cli", *command],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "workspace")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "usage: nestling-cloud serve" in done.stdout
        assert _words(name, "ENTRYPOINT") == ["nestling-cloud"]
    else:
        script = DEPLOY / Path(_words(name, "ENTRYPOINT")[0]).name
        assert os.access(script, os.X_OK)


def test_images_share_a_user_and_neither_runs_as_root() -> None:
    files = [_instructions(name) for name in ("Containerfile", "Containerfile.broker")]

    users = {re.search(r"--uid (\d+)", "\n".join(lines)) for lines in files}
    assert {found and found.group(1) for found in users} == {"64646"}
    for lines in files:
        assert max(line for line in lines if line.startswith("USER")) == "USER nestling"


def test_compose_file_is_consistent_and_the_broker_sees_only_its_folder(
    tmp_path: Path,
) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services: dict[str, Any] = compose["services"]

    assert set(services) == {"setup", "broker", "cloud"}
    ports = set()
    for name, service in services.items():
        assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        named = {volume.split(":")[0] for volume in service["volumes"]} - {_REPOSITORY}
        assert named <= set(compose["volumes"])
        ports |= {port.split(":")[1] for port in service.get("ports", [])}
        if name != "broker":
            words = [
                re.sub(r"\$\{NESTLING_HOST[^}]*\}", NAME, word).replace("/var/lib", str(tmp_path))
                for word in service["command"]
            ]
            assert cli.parser().parse_args(words).public_host == NAME
    assert services["broker"]["volumes"] == ["broker:/var/lib/nestling/state/broker"]
    exposed = {
        port
        for file in ("Containerfile", "Containerfile.broker")
        for line in _instructions(file)
        if line.startswith("EXPOSE")
        for port in line.split()[1:]
    }
    assert ports == exposed == {"8080", "8500", "8501", "8883"}


def test_commands_for_containers_are_valid() -> None:
    up, add = sections()[CONTAINERS]
    _, _, inside = add.partition("exec cloud ")

    assert all(f"{name}=" in up for name in ("NESTLING_HOST", "NESTLING_REPOSITORY"))
    assert all("-f deploy/cloud/compose.yaml" in command for command in (up, add))
    assert cli.parser().parse_args(shlex.split(inside)[1:]).name == "porch"


_REPOSITORY = "${NESTLING_REPOSITORY"


def _instructions(name: str) -> list[str]:
    text = (DEPLOY / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _words(name: str, keyword: str) -> list[str]:
    (line,) = (line for line in _instructions(name) if line.startswith(f"{keyword} "))
    words: list[str] = json.loads(line.removeprefix(f"{keyword} "))
    return words


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
