import dataclasses
from collections.abc import Callable
from pathlib import Path

import grimp
import numpy as np
import pytest
from tests.tiny_task import TINY_TASK, tiny_splits

from nestling_cloud.bundles.cache import (
    LEARNING_MODULES,
    Trained,
    cache_folder,
    fingerprint,
    trained_repository,
)
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import Silent
from nestling_cloud.tasks import (
    Lstm,
    Recipe,
    Signature,
    Splits,
    Task,
    conv_student,
    recurrent_student,
)
from nestling_cloud.training import TrainingError


def train(cache: Path, *, retrain: bool = False) -> Trained:
    return trained_repository(
        TINY_TASK, tiny_splits(), seed=0, progress=Silent(), retrain=retrain, cache=cache
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(cache: Path) -> Trained:
    return train(cache)


def test_bundle_is_trained_once_and_then_found(cache: Path, first: Trained) -> None:
    second = train(cache)

    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.folder == second.folder
    assert first.folder.is_relative_to(cache)


def test_retraining_with_the_same_seed_gives_the_same_bytes(cache: Path, first: Trained) -> None:
    before = Repository(first.folder).manifest()
    teacher = Repository(first.folder).model_path(before.cloud.name).read_bytes()

    again = train(cache, retrain=True)

    assert not again.from_cache
    assert Repository(again.folder).manifest() == before  # it names every blob by its digest
    assert Repository(again.folder).model_path(before.cloud.name).read_bytes() == teacher


def test_nothing_half_made_is_left_in_the_cache(cache: Path, first: Trained) -> None:
    assert [first.folder] == list((cache / "bundles").iterdir())


def test_training_that_fails_leaves_no_bundle(tmp_path: Path) -> None:
    splits = tiny_splits()
    splits.train.inputs[-1, 0, 0] = np.inf  # past the check of `load_checked`

    with np.errstate(invalid="ignore"), pytest.raises(TrainingError, match="the loss is nan"):
        trained_repository(TINY_TASK, splits, seed=0, progress=Silent(), cache=tmp_path)

    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_fingerprint_is_the_same_for_the_same_task_data_and_seed() -> None:
    before = fingerprint(TINY_TASK, tiny_splits(), 0)

    assert before == fingerprint(dataclasses.replace(TINY_TASK), tiny_splits(), 0)


def other_unit() -> Task:
    signature = Signature()
    signature.CopyFrom(TINY_TASK.signature)
    signature.units[0] = "mV"
    return dataclasses.replace(TINY_TASK, signature=signature)


OTHER_TASKS = {
    "name": dataclasses.replace(TINY_TASK, name="other"),
    "unit": other_unit(),
    "student": dataclasses.replace(
        TINY_TASK, student=conv_student(channels=(6, 8), strides=(1, 1))
    ),
    "teacher recipe": dataclasses.replace(TINY_TASK, teacher_recipe=Recipe(epochs=11, batch=64)),
    "student recipe": dataclasses.replace(TINY_TASK, student_recipe=Recipe(epochs=20, batch=65)),
    "augmentation": dataclasses.replace(TINY_TASK, augment=lambda inputs, _generator: inputs),
}


@pytest.mark.parametrize("change", OTHER_TASKS)
def test_fingerprint_changes_with_the_configuration(change: str) -> None:
    before = fingerprint(TINY_TASK, tiny_splits(), 0)

    assert before != fingerprint(OTHER_TASKS[change], tiny_splits(), 0)


def test_fingerprint_tells_blocks_of_the_same_sizes_apart() -> None:
    gru = recurrent_student(channels=(4,), strides=(1,), hidden=4)
    lstm = recurrent_student(channels=(4,), strides=(1,), hidden=4, cell=Lstm)

    one, other = (
        fingerprint(dataclasses.replace(TINY_TASK, student=student), tiny_splits(), 0)
        for student in (gru, lstm)
    )

    assert one != other


def test_fingerprint_changes_with_the_seed() -> None:
    assert fingerprint(TINY_TASK, tiny_splits(), 0) != fingerprint(TINY_TASK, tiny_splits(), 1)


def in_train(splits: Splits) -> None:
    splits.train.inputs[-1, -1, -1] += 1e-3


def in_calibration(splits: Splits) -> None:
    splits.calibration.labels[0] = (splits.calibration.labels[0] + 1) % 3


def in_test(splits: Splits) -> None:
    splits.test[1].inputs[0, 0, 0] += 1e-3


@pytest.mark.parametrize("change", [in_train, in_calibration, in_test])
def test_fingerprint_changes_with_one_number_of_the_data(change: Callable[[Splits], None]) -> None:
    changed = tiny_splits()
    change(changed)

    assert fingerprint(TINY_TASK, tiny_splits(), 0) != fingerprint(TINY_TASK, changed, 0)


def test_fingerprint_covers_the_code_that_a_bundle_follows_from_and_no_other() -> None:
    graph = grimp.build_graph("nestling", "nestling_cloud")
    makers = {"nestling_cloud.learning", "nestling_cloud.bundles.build"}
    reached = makers.union(*(graph.find_upstream_modules(maker) for maker in makers))
    says_and_computes_nothing = {
        "nestling_cloud.errors",
        "nestling_cloud.progress",
        "nestling_cloud.tasks.blame",
    }
    of_tasks = {"nestling_cloud.tasks.motion", "nestling_cloud.tasks.pictures"}  # augmentations

    covered = {
        module: [name for name in LEARNING_MODULES if f"{module}.".startswith(f"{name}.")]
        for module in reached - says_and_computes_nothing | of_tasks
    }
    assert [module for module, names in covered.items() if not names] == []
    assert {name for names in covered.values() for name in names} == set(LEARNING_MODULES)
    assert not any(
        module.startswith(f"nestling_cloud.{other}")
        for module in reached
        for other in ("console", "telemetry", "commands", "cli", "service", "federated")
    )


def test_bundle_without_its_checkpoint_is_trained_again(tmp_path: Path) -> None:
    before = train(tmp_path)
    (checkpoint,) = before.folder.glob("checkpoints/*.npz")
    checkpoint.unlink()

    assert not train(tmp_path).from_cache
    assert checkpoint.is_file()


def test_named_cache_comes_before_the_users(
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
