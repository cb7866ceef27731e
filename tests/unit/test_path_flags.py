"""Every flag that takes a path: an unusable path is refused before anything runs."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nestling_cloud import cli as cloud
from nestling_core.command_line.path_flags import (
    input_file,
    input_folder,
    output_file,
    output_folder,
)
from nestling_device import cli as device
from nestling_sim import cli as sim

Main = Callable[[Sequence[str]], int]

# Commands that lack only the flag under test; "IN" is a file and "DIR" a folder to read.
_TRAIN = "bundle train --task wearable"
_ADAPT = "bundle adapt --task wearable"
_JOIN = "federated join --superlink 127.0.0.1:1"
_ROUNDS = "federated run --task wearable"
_CAPACITIES = "capacities --task wearable --targets 0.5"
_PROBES = "latency probes --task wearable"

INPUT_FOLDERS = [
    (sim.main, "run", "--data-dir"),
    (cloud.main, "serve", "--repository"),
    (cloud.main, f"{_TRAIN} --repository NEW", "--data-dir"),
    (cloud.main, "bundle show", "--repository"),
    (cloud.main, "bundle export --out NEW", "--repository"),
    (cloud.main, _CAPACITIES, "--data-dir"),
    (cloud.main, _CAPACITIES, "--probes"),
    (cloud.main, f"{_ROUNDS} --repository DIR", "--data-dir"),
    (cloud.main, f"{_ROUNDS} --repository DIR", "--state"),
    (cloud.main, "latency fit --table IN", "--probes"),
    (cloud.main, "console password", "--state"),
    (cloud.main, "device list", "--state"),
    (device.main, "profile", "--models"),
]
INPUT_FILES = [
    (cloud.main, f"{_ADAPT} --repository NEW", "--inputs"),
    (cloud.main, _CAPACITIES, "--table"),
    (cloud.main, "federated link --key IN --ca IN", "--certificate"),
    (cloud.main, "federated link --certificate IN --ca IN", "--key"),
    (cloud.main, "federated link --certificate IN --key IN", "--ca"),
    (cloud.main, f"{_ROUNDS} --repository DIR", "--root-certificates"),
    (cloud.main, "latency fit --probes DIR", "--table"),
    (device.main, "run", "--config"),
    (device.main, "status", "--config"),
    (device.main, f"{_JOIN} --data IN", "--root-certificates"),
    (device.main, f"{_JOIN} --root-certificates IN", "--data"),
]
OUTPUT_FOLDERS = [
    (sim.main, "run", "--out"),
    (cloud.main, "serve --repository DIR", "--state"),
    (cloud.main, _TRAIN, "--repository"),
    (cloud.main, f"{_ADAPT} --inputs IN", "--repository"),
    (cloud.main, _ROUNDS, "--repository"),
    (cloud.main, "bundle export --repository DIR", "--out"),
    (cloud.main, _PROBES, "--out"),
    (cloud.main, "broker-config", "--state"),
]
OUTPUT_FILES = [(device.main, "profile", "--out")]


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that refuses a path, and return its error message."""
    (tmp_path / "file").touch()

    def run(main: Main, command: str, flag: str, path: Path) -> str:
        paths = {"IN": str(tmp_path / "file"), "DIR": str(tmp_path), "NEW": str(tmp_path / "new")}
        arguments = [paths.get(text, text) for text in command.split()]
        with pytest.raises(SystemExit) as ended:
            main([*arguments, flag, str(path)])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert f"argument {flag}: " in error
        assert str(path) in error
        return error

    return run


@pytest.mark.parametrize(("main", "command", "flag"), [*INPUT_FOLDERS, *OUTPUT_FOLDERS])
def test_file_instead_of_a_folder_is_refused(
    tmp_path: Path, refusal: Callable[..., str], main: Main, command: str, flag: str
) -> None:
    assert "is not a folder; name a folder" in refusal(main, command, flag, tmp_path / "file")


@pytest.mark.parametrize(("main", "command", "flag"), OUTPUT_FOLDERS)
def test_folder_below_a_file_is_refused(
    tmp_path: Path, refusal: Callable[..., str], main: Main, command: str, flag: str
) -> None:
    error = refusal(main, command, flag, tmp_path / "file" / "deep")

    assert f"{tmp_path / 'file'} is not a folder" in error


@pytest.mark.parametrize(("main", "command", "flag"), [*INPUT_FILES, *OUTPUT_FILES])
def test_folder_instead_of_a_file_is_refused(
    tmp_path: Path, refusal: Callable[..., str], main: Main, command: str, flag: str
) -> None:
    assert "is a folder; name a file" in refusal(main, command, flag, tmp_path)


@pytest.mark.parametrize(
    ("main", "command"),
    [
        (cloud.main, "latency fit --probes DIR --table NONE"),
        (cloud.main, "federated link --certificate NONE --key IN --ca IN"),
        (cloud.main, "federated link --certificate IN --key NONE --ca IN"),
        (cloud.main, "federated link --certificate IN --key IN --ca NONE"),
        (cloud.main, f"{_ROUNDS} --repository NEW --root-certificates NONE"),
        (cloud.main, "bundle show --repository NONE"),
        (device.main, "status --config NONE"),
        (device.main, f"{_JOIN} --state NEW --data IN --root-certificates NONE"),
        (device.main, f"{_JOIN} --state NEW --root-certificates IN --data NONE"),
        (device.main, "profile --models NONE"),
    ],
)
def test_missing_path_is_reported_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], main: Main, command: str
) -> None:
    (tmp_path / "file").touch()
    paths = {
        "IN": str(tmp_path / "file"),
        "DIR": str(tmp_path),
        "NEW": str(tmp_path / "new"),
        "NONE": str(tmp_path / "none"),
    }

    status = main([paths.get(text, text) for text in command.split()])

    assert status == 1
    error = capsys.readouterr().err
    assert str(tmp_path) in error
    assert "Traceback" not in error


@pytest.mark.parametrize(("main", "command", "flag"), [*OUTPUT_FOLDERS, *OUTPUT_FILES])
def test_path_that_cannot_be_written_is_refused(
    refusal: Callable[..., str], main: Main, command: str, flag: str
) -> None:
    assert "cannot be written" in refusal(main, command, flag, Path("/proc/new"))


def test_file_in_a_missing_folder_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    error = refusal(device.main, "profile", "--out", tmp_path / "none" / "table.json")

    assert "does not exist; create it" in error


def test_full_disk_is_reported_before_the_run(tmp_path: Path) -> None:
    # With a file size limit of 0 the kernel refuses the first byte, as a full disk does.
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "from nestling_sim.cli import main; sys.exit(main(['run', '--out', sys.argv[1]]))"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_usable_paths_are_accepted_and_nothing_is_left_behind(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")

    assert input_folder(str(tmp_path)) == tmp_path
    assert input_folder(str(tmp_path / "none")) == tmp_path / "none"
    assert input_file(str(file)) == output_file(str(file)) == file
    assert output_file(str(tmp_path / "new")) == tmp_path / "new"
    assert output_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "kept"
