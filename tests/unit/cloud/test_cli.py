from pathlib import Path

import pytest

from nestling_cloud import cli


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["serve"],
        ["serve", "--repository", "r", "--port", "70000"],
        ["serve", "--repository", "r", "--port", "-1"],
        ["serve", "--repository", "r", "--broker", "localhost"],
        ["serve", "--repository", "r", "--broker", "localhost:0"],
        ["serve", "--repository", "r", "--broker-kind", "other"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)

    assert exited.value.code == 2
    assert "usage: nestling-cloud" in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])

    assert "nestling-cloud serve --repository repository" in capsys.readouterr().out


def test_repository_without_a_release_exits_with_1_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"

    assert cli.main(["serve", "--repository", str(missing)]) == 1

    assert "no bundle has been released" in capsys.readouterr().err
    assert not missing.exists()
