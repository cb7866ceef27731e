import signal
from pathlib import Path

import pytest

from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import load_task
from nestling_sim import cli
from nestling_sim.scenario.scenario import built_in_scenarios
from tests.support.fleet_tasks import ROOT
from tests.support.folders import write_pictures

TINY = f"{ROOT / 'tests' / 'support' / 'tiny_task.py'}:TINY_TASK"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["run", "--seed", "-1"],
        ["run", "--seed", "one"],
        ["run", "--broker-kind", "other"],
        ["run", "--scenario"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)

    assert exited.value.code == 2
    assert "usage: nestling-sim" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_shows_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)

    assert exited.value.code == 0
    assert "nestling-sim run --task docs/examples/digits.py:TASK" in capsys.readouterr().out


def test_help_names_the_built_in_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])

    text = capsys.readouterr().out
    for name in built_in_scenarios():
        assert name in text


def test_unknown_scenario_exits_with_1_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"

    assert cli.main(["run", "--scenario", "wearble", "--out", str(out)]) == 1

    assert "did you mean 'wearable'?" in capsys.readouterr().err
    assert not out.exists()


def test_folder_of_inputs_that_is_missing_is_reported_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, out = tmp_path / "november", tmp_path / "runs"

    assert cli.main(["run", "--task", TINY, "--from", str(missing), "--out", str(out)]) == 1

    assert f"cannot read {missing / 'labels.csv'}" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_unwinds_and_a_second_one_does_not_interrupt_the_clean_up(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    steps: list[str] = []

    def interrupted() -> None:
        try:
            signal.raise_signal(number)
            steps.append("not reached")
        finally:
            signal.raise_signal(number)
            steps.append("cleaned")

    with pytest.raises(cli._StopSignal) as signalled, cli._unwinding():
        interrupted()

    assert steps == ["cleaned"]
    assert signalled.value.number == number
    assert signal.getsignal(number) is before


def test_folder_becomes_a_task_file_beside_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NESTLING_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "shapes", 12)
    options = cli._parser().parse_args(
        ["run", "--pictures", str(tmp_path / "shapes"), "--size", "8x8", "--out", str(tmp_path)]
    )

    reference = cli._task(options, 0, SilentProgress())

    assert reference == str(tmp_path / "shapes.toml")
    assert list(load_task(reference).signature.shape) == [3, 8, 8]
    assert "task file: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--size", "8x8"], "--size: name a folder with --pictures"),
        (["--pictures", ".", "--task", "wearable"], "give one of them"),
    ],
)
def test_flags_that_do_not_go_together_exit_with_1(
    flags: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--out", str(tmp_path), *flags]) == 1
    assert reason in capsys.readouterr().err
