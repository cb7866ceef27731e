"""`nestling-device status`, `doctor`, `profile`, and `run` with a file and with live sources."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestling_device.telemetry.outbox import Outbox
from tests.support import cloud_process
from tests.support.cloud_process import Cloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import EASY, HARD, hand_repository
from tests.support.processes import DEADLINE_S, until


@pytest.fixture
def cloud(tmp_path: Path, tiny_teacher: bytes) -> Iterator[Cloud]:
    """Start a cloud over the hand-made release."""
    hand_repository(tmp_path / "repository", tiny_teacher)
    store, log = tmp_path / "receipts.sqlite", tmp_path / "cloud.log"
    command = cloud_process.command(tmp_path / "repository", store, "--json")
    with log.open("a") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    with process:
        yield cloud_process.start(process, store, log)
        process.kill()
    sys.stderr.write(log.read_text())  # shown if the test failed


@pytest.fixture
def config(tmp_path: Path, cloud: Cloud) -> Path:
    """Write a device's configuration file."""
    path = tmp_path / "device.toml"
    path.write_text(
        f'[device]\nid = "porch"\nstate = "{tmp_path / "state"}"\ninterval_s = 0.01\n'
        f'[cloud]\naddress = "{cloud.grpc}"\nbroker = "{cloud.broker}"\n'
    )
    return path


StartDevice = Callable[..., DeviceProcess]


@pytest.fixture
def start_device(tmp_path: Path, config: Path) -> Iterator[StartDevice]:
    """Return a function that starts devices with that file; kill them afterwards."""
    with ExitStack() as stack:

        def start(*arguments: str) -> DeviceProcess:
            return stack.enter_context(
                DeviceProcess(tmp_path / "state", arguments=("--config", str(config), *arguments))
            )

        yield start


def ask(config: Path, command: str, *arguments: str) -> tuple[int, Any]:
    """Run a command, and return its exit status and its JSON output (else its stderr)."""
    line = [sys.executable, "-P", "-m", "nestling_device.cli", command, "--config", str(config)]
    done = subprocess.run(
        [*line, "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.mark.parametrize(
    "arguments", [["status"], ["status", "--json"], ["--help"], ["run", "--help"]]
)
def test_command_with_a_closed_output_pipe_ends_quietly(
    tmp_path: Path, arguments: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "nestling_device.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": ""},  # else argparse ignores the error
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_run_whose_output_pipe_closes_ends_quietly(config: Path) -> None:
    line = [sys.executable, "-P", "-m", "nestling_device.cli", "run", "--config", str(config)]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()

    assert process.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in stderr
    assert "BrokenPipe" not in stderr


def test_status_is_right_before_during_and_after_a_run(
    config: Path, start_device: StartDevice
) -> None:
    code, before = ask(config, "status")
    assert (code, before["running"], before["bundle"]) == (3, False, None)

    device = start_device()
    device.take(3)
    code, during = ask(config, "status")
    assert (code, during["running"], during["id"]) == (0, True, "porch")
    assert during["bundle"]["capacity"] == 3
    assert during["config"] == str(config)
    assert device.end(signal.SIGTERM) == 0

    code, after = ask(config, "status")
    assert (code, after["running"]) == (3, False)
    assert after["outbox"]["acknowledged"] == after["outbox"]["written"] == len(device.answers)
    assert after["outbox"]["depth"] == 0


def test_doctor_passes_a_running_device_without_disturbing_it(
    config: Path, start_device: StartDevice
) -> None:
    device = start_device()
    device.take(3)

    code, found = ask(config, "doctor")

    assert (code, found["ok"]) == (0, True)
    levels = {check["check"]: check["level"] for check in found["checks"]}
    assert {name for name, level in levels.items() if level != "ok"} == {"identity"}
    assert {"cloud", "broker", "host", "bundle", "source", "meter", "memory"} <= set(levels)
    device.take(3)  # the broker has not disconnected it because of the doctor
    assert device.end(signal.SIGTERM) == 0


def test_doctor_reports_what_is_unreachable_and_what_to_do(config: Path, cloud: Cloud) -> None:
    cloud.stop(signal.SIGKILL)

    code, found = ask(config, "doctor")

    assert (code, found["ok"]) == (1, False)
    failed = {
        check["check"]: check["advice"] for check in found["checks"] if check["level"] == "fail"
    }
    assert set(failed) == {"cloud", "broker"}
    assert "nestling-cloud serve" in failed["cloud"]
    assert "[cloud] broker" in failed["broker"]


def test_doctor_distinguishes_another_server_from_an_unreachable_cloud(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, found = ask(config, "doctor", "--cloud", f"127.0.0.1:{other.getsockname()[1]}")

    findings = {check["check"]: check["found"] for check in found["checks"]}
    assert code == 1
    assert "accepts connections but does not answer" in findings["cloud"]


def test_doctor_names_a_mistake_in_the_configuration(config: Path) -> None:
    config.write_text("[budget]\nlatency = 5\n")

    code, found = ask(config, "doctor")

    assert code == 1
    (only,) = found["checks"]
    assert "did you mean 'latency_ms'?" in only["found"]


def test_profile_is_measured_saved_and_shown_by_status(
    config: Path, start_device: StartDevice, tmp_path: Path
) -> None:
    code, error = ask(config, "profile")
    assert code == 1
    assert "nestling-device run fetches it" in error
    assert start_device("--count", "1").end() == 0

    code, looked = ask(config, "profile", "--seconds", "0.02")
    assert code == 0
    assert not (tmp_path / "state" / "profile.json").exists()
    code, _ = ask(config, "profile", "--seconds", "0.02", "--write")
    assert code == 0

    assert len(looked["capacities"]) == 3
    assert {cost["energy_provenance"] for cost in looked["capacities"]} == {"modelled"}
    _, status = ask(config, "status")
    assert status["profile"]["in_use"] is True
    assert start_device("--count", "1").end() == 0


def test_flag_takes_precedence_over_the_file(start_device: StartDevice, config: Path) -> None:
    config.write_text(config.read_text() + "[budget]\noffload_share = 0\n")
    kept = start_device("--count", "6")
    assert kept.end() == 0
    sent = start_device("--count", "6", "--offload-share", "1")
    assert sent.end() == 0

    assert {answer["route"] == "cloud" for answer in kept.answers} == {False}
    assert {answer["route"] == "cloud" for answer in sent.answers} == {True}


def test_folder_is_answered_once_through_kills(start_device: StartDevice, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number in range(6):
        np.save(inputs / f"{number}.npy", np.stack([EASY] * 50))
    taken = 0
    for _ in range(3):
        killed = start_device("--source", f"folder:{inputs}")
        killed.take(20)
        killed.end(signal.SIGKILL)
        taken += 20

    last = start_device("--source", f"folder:{inputs}")
    until(lambda: len(list((inputs / "answered").glob("*.npy"))) == 6)
    assert last.end(signal.SIGTERM) == 0

    with Outbox(tmp_path / "state") as outbox:
        assert outbox.marks().last == 300


def test_program_sends_inputs_and_reads_answers_over_a_socket(
    start_device: StartDevice, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.sock"
    device = start_device("--source", f"socket:{path}")
    until(path.exists)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as producer:
        producer.settimeout(DEADLINE_S)
        producer.connect(str(path))
        answers = producer.makefile("r")
        for window in (EASY, HARD):
            data = window.astype("<f4").tobytes()
            producer.sendall(len(data).to_bytes(4, "little") + data)
        lines = [json.loads(answers.readline()) for _ in range(2)]
        answers.close()

    assert device.take(2) == lines
    assert device.end(signal.SIGTERM) == 0
    assert not path.exists()
