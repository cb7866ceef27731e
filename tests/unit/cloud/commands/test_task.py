"""`nestling-cloud task`."""

import json
from pathlib import Path

import pytest

from nestling_cloud.cli import main
from tests.support.folders import write_pictures, write_recordings, write_sounds


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NESTLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_new_task_says_what_the_folder_holds_and_writes_a_file(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(place / "shapes", 20)

    assert main(["task", "new", "--pictures", "shapes", "--size", "16x16"]) == 0

    printed = capsys.readouterr().out
    assert "60 files, single-label" in printed
    assert "3 classes: blue 20, green 20, red 20" in printed
    assert "9 calibration inputs: routed by a plain rule such as the margin; " in printed
    assert "needs about 834" in printed
    text = (place / "shapes.toml").read_text()
    assert "size = [16, 16]" in text
    assert 'data = "shapes"' in text


def test_findings_are_json_for_programs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(place / "shapes", 20)
    (place / "shapes" / "red" / "bad.png").write_bytes(b"")

    assert main(["task", "new", "--pictures", "shapes", "-o", "t.toml", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["inputs"] == {"train": 39, "calibration": 9, "test": 12}
    assert found["classes"] == {"blue": 20, "green": 20, "red": 20}
    assert [problem["files"] for problem in found["problems"]] == [["red/bad.png"]]


def test_existing_task_file_is_replaced_only_by_force(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(place / "shapes", 20)
    (place / "t.toml").write_text("# mine\n")
    command = ["task", "new", "--pictures", "shapes", "-o", "t.toml"]

    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


def test_every_medium_makes_a_task_that_can_be_checked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sounds(place / "tones", 6)
    write_recordings(place / "pump", 8)
    pattern = "(?P<label>[a-z]+)_(?P<group>[a-z]+)_"
    for name, flags in (
        ("tones", ["--sounds", "tones", "--pattern", pattern]),
        ("pump", ["--windows", "pump", "--length", "10", "--hop", "5"]),
        ("flow", ["--windows", "pump", "--target", "flow", "--name", "flow"]),
    ):
        assert main(["task", "new", *flags]) == 0
        assert main(["task", "check", "--task", f"{name}.toml"]) == 0
        printed = capsys.readouterr().out
        assert "train: " in printed
        assert ("values flow" in printed) == (name == "flow")
        assert ("by the confidence rule of regression tasks" in printed) == (name == "flow")


def test_wrong_flags_are_explained(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sounds(place / "tones", 6)

    assert main(["task", "new", "--sounds", "tones"]) == 1
    assert "--pattern" in capsys.readouterr().err
    assert main(["task", "new", "--sounds", "tones", "--pattern", "("]) == 1
    assert "not a regular expression" in capsys.readouterr().err
    for wrong in (["--size", "big"], ["--rate", "0"], ["--kind", "odd"], ["--pictures", "tones"]):
        with pytest.raises(SystemExit):
            main(["task", "new", "--sounds", "tones", *wrong])
