import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grimp
import numpy as np
import pytest
import torch
from torch import nn

from nestling_cloud.bundles.cache import CachedRelease, CacheError, cache_folder, trained_repository
from nestling_cloud.bundles.fingerprint import LEARNING_CODE, fingerprint
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning.loop import TrainingError
from nestling_cloud.learning.train_teacher import TeacherError
from nestling_cloud.progress import Silent
from nestling_cloud.tasks import (
    Lstm,
    Recipe,
    Signature,
    Splits,
    Task,
    conv_student,
    load_task,
    recurrent_student,
)
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits


def train(
    cache: Path, *, retrain: bool = False, report: Callable[[str], None] = lambda _: None
) -> CachedRelease:
    return trained_repository(
        TINY_TASK,
        tiny_splits(),
        seed=0,
        progress=Silent(),
        retrain=retrain,
        cache=cache,
        report=report,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(cache: Path) -> CachedRelease:
    return train(cache)


def test_bundle_is_trained_once_and_then_taken_from_the_cache(
    cache: Path, first: CachedRelease
) -> None:
    reports: list[str] = []

    second = train(cache, report=reports.append)

    assert reports == [f"bundle from the cache: {first.folder}"]
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.folder == second.folder
    assert first.folder.is_relative_to(cache)


def test_retraining_with_the_same_seed_gives_the_same_bytes(
    cache: Path, first: CachedRelease
) -> None:
    before = Repository(first.folder).manifest()
    teacher = Repository(first.folder).model_path(before.cloud.name).read_bytes()

    again = train(cache, retrain=True)

    assert not again.from_cache
    assert Repository(again.folder).manifest() == before  # it names every blob by its digest
    assert Repository(again.folder).model_path(before.cloud.name).read_bytes() == teacher


def test_cache_holds_no_incomplete_bundle(cache: Path, first: CachedRelease) -> None:
    assert [first.folder] == list((cache / "bundles").iterdir())


def test_training_that_fails_leaves_no_bundle(tmp_path: Path) -> None:
    splits = tiny_splits()
    splits.train.inputs[-1, 0, 0] = np.inf  # `load_checked` would have refused it

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


def test_fingerprint_distinguishes_blocks_of_the_same_sizes() -> None:
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


def test_fingerprint_covers_exactly_the_code_that_affects_a_bundle() -> None:
    graph = grimp.build_graph("nestling", "nestling_core", "nestling_cloud")
    makers = {"nestling_cloud.learning.pipeline", "nestling_cloud.bundles.release"}
    reached = makers.union(*(graph.find_upstream_modules(maker) for maker in makers))
    says_and_computes_nothing = {
        "nestling_cloud.errors",
        "nestling_cloud.progress",
        "nestling_cloud.tasks.user_code_errors",
    }
    of_tasks = {"nestling_cloud.tasks.motion", "nestling_cloud.tasks.pictures"}  # augmentations

    covered = {
        module: [name for name in LEARNING_CODE if f"{module}.".startswith(f"{name}.")]
        for module in reached - says_and_computes_nothing | of_tasks
    }
    assert [module for module, names in covered.items() if not names] == []
    assert {name for names in covered.values() for name in names} == set(LEARNING_CODE)
    assert not any(
        module.startswith(f"nestling_cloud.{other}")
        for module in reached
        for other in ("console", "telemetry", "commands", "cli", "service", "federated")
    )


class RetrainingStarted(Exception):  # noqa: N818  not an error: it ends the call before training
    """The cache reported that it trains a bundle again."""


def stop_at_retraining(text: str) -> None:
    if "the bundle in the cache is damaged and is trained again: " in text:
        raise RetrainingStarted(text)


def copy_of(first: CachedRelease, folder: Path) -> Path:
    """Copy the bundle to a cache of its own; returns the bundle's folder."""
    return Path(shutil.copytree(first.folder, folder / "bundles" / first.folder.name))


def no_checkpoint(bundle: Path) -> None:
    next(bundle.glob("checkpoints/*.npz")).unlink()


def cut_teacher(bundle: Path) -> None:
    (path,) = bundle.glob("models/*.onnx")
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
    damage: Callable[[Path], None], first: CachedRelease, tmp_path: Path
) -> None:
    damage(copy_of(first, tmp_path))

    with pytest.raises(RetrainingStarted):
        train(tmp_path, report=stop_at_retraining)


def test_damaged_bundle_is_trained_again_to_the_same_bytes(
    first: CachedRelease, tmp_path: Path
) -> None:
    bundle = copy_of(first, tmp_path)
    path = max((bundle / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])

    again = train(tmp_path)

    assert not again.from_cache
    assert path.read_bytes() == whole
    assert train(tmp_path).from_cache


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
            trained_repository(task, tiny_splits(), seed=0, progress=Silent(), cache=tmp_path)
    finally:
        os.close(lock)

    assert [folder.exists() for folder in (left, held)] == [False, True]


def test_unwritable_cache_is_reported_before_training(tmp_path: Path) -> None:
    (tmp_path / "bundles").write_text("a file where a folder is needed")

    with pytest.raises(CacheError, match=r"cannot store trained bundles in .*NESTLING_CACHE"):
        train(tmp_path)


def weights(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    torch.save(TinyTeacher(TINY_TASK.signature).state_dict(), path)


def loaded(path: Path) -> nn.Module:
    teacher = TinyTeacher(TINY_TASK.signature)
    teacher.load_state_dict(torch.load(path, weights_only=True))
    return teacher


@pytest.mark.parametrize("recipe", [None, Recipe(epochs=1)])
def test_fingerprint_changes_with_the_weights_in_a_teachers_file(
    tmp_path: Path, recipe: Recipe | None
) -> None:
    path = tmp_path / "teacher.pt"
    task = dataclasses.replace(
        TINY_TASK, teacher=lambda _signature: loaded(path), teacher_recipe=recipe
    )
    weights(path, seed=1)
    before = fingerprint(task, tiny_splits(), 0)
    assert before == fingerprint(task, tiny_splits(), 0)

    weights(path, seed=2)

    assert before != fingerprint(task, tiny_splits(), 0)


class Constant(TinyTeacher):
    """Has a number, a tensor and a list that are not in its state dictionary."""

    def __init__(self, number: float, tensor: float, listed: float) -> None:
        super().__init__(TINY_TASK.signature)
        self.number = number
        self.tensor = torch.tensor([tensor])
        self.listed = [{"mean": np.array([listed])}]


@pytest.mark.parametrize("other", [(2.0, 2.0, 3.0), (1.0, 3.0, 3.0), (1.0, 2.0, 4.0)])
def test_fingerprint_changes_with_values_outside_the_state_dictionary(
    other: tuple[float, float, float],
) -> None:
    def fingerprint_of(numbers: tuple[float, float, float]) -> str:
        task = dataclasses.replace(TINY_TASK, teacher=lambda _signature: Constant(*numbers))
        return fingerprint(task, tiny_splits(), 0)

    assert fingerprint_of((1.0, 2.0, 3.0)) != fingerprint_of(other)


def lazy_task(hidden: int) -> Task:
    def teacher(_signature: Signature) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(hidden), nn.LazyLinear(3))

    return dataclasses.replace(TINY_TASK, teacher=teacher)


def test_teacher_with_lazy_parameters_has_a_fingerprint() -> None:
    before = fingerprint(lazy_task(4), tiny_splits(), 0)

    assert before == fingerprint(lazy_task(4), tiny_splits(), 0)
    assert before != fingerprint(lazy_task(5), tiny_splits(), 0)


FINGERPRINT_ALONE = """
import sys
from tests.support.tiny_task import TINY_TASK, tiny_splits
from nestling_cloud.bundles.fingerprint import fingerprint
fingerprint(TINY_TASK, tiny_splits(), 0)
assert "torch._inductor" not in sys.modules
"""


def test_fingerprint_does_not_load_torchs_compiler() -> None:
    root = Path(__file__).parents[4]

    subprocess.run([sys.executable, "-c", FINGERPRINT_ALONE], check=True, cwd=root)


TASK_FILE = """
import dataclasses
from pathlib import Path
from tests.support.tiny_task import TINY_TASK
from {helper} import shifted
NOISE = Path(__file__).with_name("noise.bin")
TASK = dataclasses.replace(TINY_TASK, augment=lambda inputs, generator: shifted(inputs))
"""


@pytest.mark.parametrize("changed", ["module", "file"])
def test_fingerprint_changes_with_what_a_task_file_imports_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    helper = f"helper_of_{changed}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine.py").write_text(TASK_FILE.format(helper=helper))
    module, noise = tmp_path / f"{helper}.py", tmp_path / "noise.bin"
    module.write_text("def shifted(inputs):\n    return inputs + 1\n")
    noise.write_bytes(b"quiet")
    reference = f"{tmp_path}/mine.py:TASK"
    before = fingerprint(load_task(reference), tiny_splits(), 0)
    assert before == fingerprint(load_task(reference), tiny_splits(), 0)

    if changed == "module":
        module.write_text("def shifted(inputs):\n    return inputs + 2\n")
    else:
        noise.write_bytes(b"loud")

    assert before != fingerprint(load_task(reference), tiny_splits(), 0)


def test_teacher_that_cannot_be_built_is_reported_before_the_cache_is_read(tmp_path: Path) -> None:
    task = dataclasses.replace(TINY_TASK, teacher=lambda _signature: loaded(tmp_path / "absent.pt"))

    with pytest.raises(TeacherError, match=r"FileNotFoundError.*absent\.pt"):
        trained_repository(task, tiny_splits(), seed=0, progress=Silent(), cache=tmp_path)


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
