import dataclasses
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nestling_cloud.bundles.cache import CacheError, trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.learning.make_teacher import TeacherError
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import TaskError
from tests.support.teacher_file import load_teacher
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits


def train(
    cache: Path, *, retrain: bool = False, report: Callable[[str], None] = lambda _: None
) -> Path:
    return trained_repository(
        TINY_TASK,
        tiny_splits(),
        seed=0,
        progress=SilentProgress(),
        retrain=retrain,
        cache=cache,
        report=report,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(cache: Path) -> Path:
    return train(cache)


def test_bundle_is_trained_once_and_then_taken_from_the_cache(cache: Path, first: Path) -> None:
    reports: list[str] = []

    second = train(cache, report=reports.append)

    assert reports == [f"bundle from the cache: {first}; --retrain trains it again"]
    assert first == second
    assert first.is_relative_to(cache)


def test_retraining_with_the_same_seed_gives_the_same_bytes(cache: Path, first: Path) -> None:
    before = Repository(first).manifest()

    reports: list[str] = []
    again = train(cache, retrain=True, report=reports.append)

    assert reports == []
    assert Repository(again).manifest() == before  # it names every file by its digest


def test_cache_holds_no_incomplete_bundle(cache: Path, first: Path) -> None:
    assert [first] == list((cache / "bundles").iterdir())


def test_training_that_fails_leaves_no_bundle(tmp_path: Path) -> None:
    splits = tiny_splits()
    splits.train.inputs[-1][0, 0] = np.inf  # `load_checked` would have refused it

    with np.errstate(invalid="ignore"), pytest.raises(TaskError, match="not finite"):
        trained_repository(TINY_TASK, splits, seed=0, progress=SilentProgress(), cache=tmp_path)

    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


class RetrainingStarted(Exception):  # noqa: N818  not an error: it ends the call before training
    """The cache reported that it trains a bundle again."""


def stop_at_retraining(text: str) -> None:
    if "the bundle in the cache is damaged and is trained again: " in text:
        raise RetrainingStarted(text)


def copy_of(first: Path, folder: Path) -> Path:
    """Copy the bundle to a cache of its own; returns the bundle's folder."""
    return Path(shutil.copytree(first, folder / "bundles" / first.name))


def no_checkpoint(bundle: Path) -> None:
    next(bundle.glob("checkpoints/*.npz")).unlink()


def cut_teacher(bundle: Path) -> None:
    (path,) = bundle.glob("models/*")
    path.write_bytes(path.read_bytes()[:1000])


def empty_checkpoint(bundle: Path) -> None:
    next(bundle.glob("checkpoints/*.npz")).write_bytes(b"")


def nothing_desired(bundle: Path) -> None:
    (bundle / "desired.binpb").write_bytes(b"")


def empty_blobs(bundle: Path) -> None:
    for path in (bundle / "blobs").iterdir():
        path.write_bytes(b"")


def empty_folder(bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.mkdir()


def no_folder(bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.write_text("a file where a folder is needed")


def other_task(bundle: Path) -> None:
    repository = Repository(bundle)
    manifest = repository.manifest()
    manifest.signature.units[0], manifest.release = "mV", 2
    repository.add_checkpoint(repository.release(manifest).bundle_version, b"weights")


DAMAGES = (
    no_checkpoint,
    cut_teacher,
    empty_checkpoint,
    nothing_desired,
    empty_blobs,
    empty_folder,
    no_folder,
    other_task,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_any_kind_is_detected_and_reported(
    damage: Callable[[Path], None], first: Path, tmp_path: Path
) -> None:
    damage(copy_of(first, tmp_path))

    with pytest.raises(RetrainingStarted):
        train(tmp_path, report=stop_at_retraining)


def test_damaged_bundle_is_trained_again_to_the_same_bytes(first: Path, tmp_path: Path) -> None:
    bundle = copy_of(first, tmp_path)
    path = max((bundle / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])

    reports: list[str] = []
    for _ in range(2):
        train(tmp_path, report=reports.append)

    damaged, cached = reports
    assert damaged.startswith("the bundle in the cache is damaged and is trained again")
    assert path.read_bytes() == whole
    assert cached == f"bundle from the cache: {bundle}; --retrain trains it again"


class Wordless(TinyTeacher):
    """Has answers that cannot be served, which is detected at once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :1]


def test_leftovers_of_a_killed_run_are_removed_and_those_of_a_live_run_are_kept(
    tmp_path: Path,
) -> None:
    left, held = (tmp_path / "bundles" / f".making-{name}" for name in ("a", "b"))
    for folder in (left, held):
        folder.mkdir(parents=True)
        (folder / "blob").write_bytes(b"half")
    task = dataclasses.replace(TINY_TASK, teacher=Wordless)
    lock = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TeacherError):
            trained_repository(
                task, tiny_splits(), seed=0, progress=SilentProgress(), cache=tmp_path
            )
    finally:
        os.close(lock)

    assert [folder.exists() for folder in (left, held)] == [False, True]


def test_unwritable_cache_is_reported_before_training(tmp_path: Path) -> None:
    (tmp_path / "bundles").write_text("a file where a folder is needed")

    with pytest.raises(CacheError, match=r"cannot store trained bundles in .*NESTLING_CACHE"):
        train(tmp_path)


def test_teacher_that_cannot_be_built_is_reported_before_the_cache_is_read(tmp_path: Path) -> None:
    task = dataclasses.replace(
        TINY_TASK, teacher=lambda _signature: load_teacher(tmp_path / "absent.pt")
    )

    with pytest.raises(TeacherError, match=r"FileNotFoundError.*absent\.pt"):
        trained_repository(task, tiny_splits(), seed=0, progress=SilentProgress(), cache=tmp_path)


def test_nestling_cache_variable_overrides_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("NESTLING_CACHE", raising=False)

    assert cache_folder() == tmp_path / "home/.cache/nestling"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/nestling"
    monkeypatch.setenv("NESTLING_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
