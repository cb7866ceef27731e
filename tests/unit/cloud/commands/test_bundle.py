from pathlib import Path

import pytest

from nestling_cloud import cli
from nestling_cloud.bundles.repository import Repository
from tests.support.fleet_tasks import ROOT

TINY = f"{ROOT / 'tests' / 'support' / 'tiny_task.py'}:TINY_TASK"


def train(repository: Path, *, task: str = TINY) -> int:
    return cli.main(["bundle", "train", "--task", task, "--repository", str(repository)])


def test_training_twice_makes_two_complete_releases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "repository"

    statuses = [train(folder), train(folder)]

    output = capsys.readouterr()
    versions = output.out.split()
    repository = Repository(folder)
    desired = repository.desired()
    assert statuses == [0, 0]
    assert [version.split("-")[:2] for version in versions] == [["tiny", "1"], ["tiny", "2"]]
    assert desired is not None
    assert desired.bundle_version == versions[1]
    assert repository.read_model(repository.manifest().cloud)
    assert repository.checkpoint_path(versions[1]).is_file()
    words = " ".join(output.err.split())
    assert words.count("an estimate from calibration inputs, no guarantee") == 2
    assert words.count("routing: plain confidence rule (max-softmax)") == 2
    assert "calibration inputs; networks are tried from 8" in words
    assert "stream filter: none: calibration inputs are no recordings" in words


def test_repository_of_another_task_is_not_changed(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Repository(released).desired()
    manifest = Repository(released).manifest()
    manifest.task, manifest.release = "other", 2
    Repository(released).release(manifest)

    assert train(released) == 1

    assert "holds releases of 'other'" in capsys.readouterr().err
    assert before != Repository(released).desired()


def test_unknown_task_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "repository", task="nothing") == 1

    assert "no task 'nothing'" in capsys.readouterr().err
    assert not (tmp_path / "repository").exists()
