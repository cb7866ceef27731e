"""`nestling-sim run` as a process: how it ends, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fleet_tasks import ROOT, THREE_WRISTS, task_reference
from tests.support.processes import DEADLINE_S, alive, children, until

_ENDED_BY = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A run in a process, with its own folders."""

    process: subprocess.Popen[str]
    out: Path
    temporary: Path

    def wait_for(self, text: str) -> None:
        """Read its stderr until a line contains a text."""
        assert self.process.stderr is not None
        stderr = ""
        for line in self.process.stderr:
            stderr += line
            if text in line:
                return
        pytest.fail(f"it ended without {text!r}: {stderr}")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; return the exit status and the rest of its stderr."""
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, stderr


Start = Callable[..., Running]


@pytest.fixture
def start(fleet_cache: Path, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts `nestling-sim run` with the small bundle in its cache."""
    started: list[subprocess.Popen[str]] = []

    def go(
        task: str, *arguments: str, scenario: Path = THREE_WRISTS, iotcore: bool = True
    ) -> Running:
        temporary, out = tmp_path / "tmp", tmp_path / "runs"
        temporary.mkdir(exist_ok=True)
        program = ["-m", "nestling_sim.cli"]
        if not iotcore:  # as if it were not installed
            text = "import sys; sys.modules['iotcore'] = None; from nestling_sim.cli import main; "
            program = ["-c", f"{text}sys.exit(main(sys.argv[1:]))"]
        options = ["--scenario", str(scenario), "--task", task, "--out", str(out), *arguments]
        process = subprocess.Popen(
            [sys.executable, "-P", *program, "run", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "NESTLING_CACHE": str(fleet_cache),
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(temporary),
            },
        )
        started.append(process)
        return Running(process=process, out=out, temporary=temporary)

    yield go
    for process in started:
        with process:
            process.kill()


def offspring(pid: int) -> list[int]:
    """Return the process ids of all descendants."""
    found = children(pid)
    return [*found, *(one for child in found for one in offspring(child))]


@pytest.mark.parametrize("number", _ENDED_BY)
def test_signal_during_a_fleets_run_leaves_no_process_and_no_file(
    start: Start, number: signal.Signals
) -> None:
    running = start(task_reference("LONG"))
    running.wait_for("3 devices answer 12000 inputs")
    cloud_and_broker = offspring(running.process.pid)

    status, stderr = running.end(number)

    assert status == _ENDED_BY[number]
    assert "stopped" in stderr
    assert "Traceback" not in stderr
    assert len(cloud_and_broker) == 2
    until(lambda: not any(map(alive, cloud_and_broker)))
    assert list(running.temporary.iterdir()) == []
    assert not running.out.exists()


@pytest.mark.parametrize("number", _ENDED_BY)
def test_signal_during_training_leaves_no_half_trained_bundle(
    start: Start, fleet_cache: Path, number: signal.Signals
) -> None:
    before = sorted((fleet_cache / "bundles").rglob("*"))
    running = start(task_reference("UNTEACHABLE"))
    running.wait_for("teacher")

    status, stderr = running.end(number)

    assert status == _ENDED_BY[number]
    assert "Traceback" not in stderr
    assert before == sorted((fleet_cache / "bundles").rglob("*"))
    assert list(running.temporary.iterdir()) == []
    assert not running.out.exists()


def test_kill_9_leaves_no_process(start: Start) -> None:
    running = start(task_reference("LONG"))
    running.wait_for("3 devices answer 12000 inputs")
    cloud_and_broker = offspring(running.process.pid)

    running.end(signal.SIGKILL)

    assert len(cloud_and_broker) == 2
    until(lambda: not any(map(alive, cloud_and_broker)))


def test_next_run_removes_files_of_a_killed_run_but_not_of_a_running_one(start: Start) -> None:
    killed, living = start(task_reference("LONG")), start(task_reference("LONG"))
    for one in (killed, living):
        one.wait_for("3 devices answer 12000 inputs")
    held = set(killed.temporary.iterdir())
    cloud_and_broker = offspring(killed.process.pid)
    killed.end(signal.SIGKILL)
    until(lambda: not any(map(alive, cloud_and_broker)))
    assert set(killed.temporary.iterdir()) == held
    assert len(held) == 2

    third = start(task_reference("SHORT"))
    third.wait_for("3 devices answer 150 inputs")
    third.process.communicate(timeout=DEADLINE_S)

    assert third.process.returncode == 0
    assert len(held & set(killed.temporary.iterdir())) == 1
    status, _ = living.end(signal.SIGINT)
    assert status == 130
    assert list(killed.temporary.iterdir()) == []


def test_keep_serving_continues_after_the_report_until_ctrl_c(start: Start) -> None:
    running = start(task_reference("SHORT"), "--keep-serving")
    running.wait_for("console: http://127.0.0.1:")
    running.wait_for("Ctrl-C stops them")
    cloud_and_broker = offspring(running.process.pid)
    assert all(map(alive, cloud_and_broker))

    status, stderr = running.end(signal.SIGINT)

    assert status == 0
    assert "nothing is left running" in stderr
    assert "Traceback" not in stderr
    until(lambda: not any(map(alive, cloud_and_broker)))
    (folder,) = running.out.iterdir()
    assert (folder / "report.html").is_file()
    assert list(running.temporary.iterdir()) == []


def test_run_prints_its_summary_as_json_and_one_line_per_step(start: Start) -> None:
    running = start(task_reference("SHORT"), "--json")

    stdout, stderr = running.process.communicate(timeout=DEADLINE_S)

    assert running.process.returncode == 0
    origin, fleet = stderr.splitlines()
    assert origin.startswith("bundle from the cache: ")
    assert fleet == "3 devices answer 150 inputs"
    (folder,) = running.out.iterdir()
    assert json.loads(stdout) == json.loads((folder / "summary.json").read_text())
    assert list(running.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("DATALESS", "no watch found; connect one"),
        ("NONE_SUCH", "short_streams.py has no task 'NONE_SUCH'; it has "),
    ],
)
def test_missing_data_or_task_is_reported(start: Start, task: str, message: str) -> None:
    running = start(task_reference(task))

    _, stderr = running.process.communicate(timeout=DEADLINE_S)

    assert_reported(running, stderr, message)


def test_missing_broker_is_reported(start: Start) -> None:
    running = start(task_reference("SHORT"), "--broker-kind", "iotcore", iotcore=False)

    _, stderr = running.process.communicate(timeout=DEADLINE_S)

    assert_reported(running, stderr, "no iotcore on this machine: pip install iotcore, or name")


def test_missing_task_file_is_reported(start: Start) -> None:
    running = start("none.py:TASK")

    _, stderr = running.process.communicate(timeout=DEADLINE_S)

    assert_reported(running, stderr, "task file none.py does not exist")


def test_unknown_scenario_key_is_reported(start: Start, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(THREE_WRISTS.read_text().replace("deadline_ms", "deadlin_ms"))
    running = start(task_reference("SHORT"), scenario=mine)

    _, stderr = running.process.communicate(timeout=DEADLINE_S)

    assert_reported(
        running, stderr, f"{mine}: [offload], key deadlin_ms: unknown key (did you mean"
    )


def assert_reported(running: Running, stderr: str, message: str) -> None:
    assert running.process.returncode == 1
    assert message in stderr
    assert "nestling-sim: " in stderr
    assert "Traceback" not in stderr
    assert list(running.temporary.iterdir()) == []
    assert not running.out.exists()
