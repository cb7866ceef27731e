"""Trained bundles, kept under a hash of everything that they follow from."""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from nestling_cloud.bundles.build import release_bundle
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.learning import learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Splits, Task
from nestling_cloud.temporary import temporary_folder

_FIRST_RELEASE = 1
# All that a bundle follows from, and no more: a change of the console trains nothing anew. A
# package stands for all of its modules. A test holds the list against the imports of `learning` and
# `bundles.build`.
LEARNING_MODULES = (
    "nestling.bundle",
    "nestling.nest",
    "nestling.session",
    "nestling.student",
    "nestling.v1.bundle_pb2",
    "nestling.v1.delivery_pb2",
    "nestling_cloud.bundles.build",
    "nestling_cloud.bundles.export",
    "nestling_cloud.bundles.repository",
    "nestling_cloud.distillation",
    "nestling_cloud.export",
    "nestling_cloud.learning",
    "nestling_cloud.macs",
    "nestling_cloud.models.multiplexer",
    "nestling_cloud.models.teacher",
    "nestling_cloud.multiplexed",
    "nestling_cloud.muon",
    "nestling_cloud.nesting",
    "nestling_cloud.quantization",
    "nestling_cloud.recipes",
    "nestling_cloud.routing",
    "nestling_cloud.student",
    "nestling_cloud.tasks.motion",
    "nestling_cloud.tasks.pictures",
    "nestling_cloud.tasks.task",
    "nestling_cloud.teacher",
    "nestling_cloud.templates",
    "nestling_cloud.temporary",
    "nestling_cloud.training",
    "nestling_cloud.whole_file",
)


def cache_folder() -> Path:
    """`$NESTLING_CACHE`, else `nestling` in the user's cache folder."""
    named = os.environ.get("NESTLING_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nestling"


def keep_torch_cache() -> None:
    """Let torch keep what it compiles with the bundles; it would leave it among temporary files.

    To be called before torch compiles anything.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torchinductor"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """A repository with a released bundle, and whether it had to be trained for."""

    folder: Path
    from_cache: bool


def trained_repository(
    task: Task,
    splits: Splits,
    *,
    seed: int,
    progress: Progress,
    retrain: bool = False,
    cache: Path | None = None,
) -> Trained:
    """Take a task's bundle from the cache, or train it and keep it.

    Args:
        task: what to learn.
        splits: its data.
        seed: of the training.
        progress: told every epoch.
        retrain: train anew even if the cache has it.
        cache: folder to keep bundles in; by default the user's.
    """
    bundles = (cache or cache_folder()) / "bundles"
    folder = bundles / f"{task.name}-{fingerprint(task, splits, seed)[:16]}"
    if not retrain and _is_whole(folder):
        return Trained(folder=folder, from_cache=True)
    learned = learn(task, splits, seed=seed, progress=progress)
    bundles.mkdir(parents=True, exist_ok=True)
    with temporary_folder(".making-", bundles) as making:
        release_bundle(Repository(making), task, learned, release=_FIRST_RELEASE)
        _put(making, folder, replace=retrain)
    return Trained(folder=folder, from_cache=False)


def _is_whole(folder: Path) -> bool:
    """Whether a folder has a bundle; a damaged one has not."""
    repository = Repository(folder)
    try:
        repository.model_path(repository.manifest().cloud.name)
        desired = repository.desired()
        repository.checkpoint_path(desired.bundle_version if desired else "")
    except RepositoryError:
        return False
    return True


def _put(making: Path, folder: Path, *, replace: bool) -> None:
    """Move a finished bundle to its place, unless another run has put one there meanwhile."""
    if replace or not _is_whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        making.rename(folder)
    except OSError:
        if not _is_whole(folder):
            raise


def fingerprint(task: Task, splits: Splits, seed: int) -> str:
    """SHA-256 over configuration, data, code, and the versions of what computes."""
    digest = hashlib.sha256()
    for piece in _pieces(task, splits, seed):
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(task: Task, splits: Splits, seed: int) -> Iterator[bytes]:
    yield json.dumps(
        {
            "seed": seed,
            "task": task.name,
            "student": repr(task.student),  # with the kinds of its blocks
            "recipes": [
                recipe and dataclasses.asdict(recipe)
                for recipe in (
                    task.teacher_recipe,
                    task.student_recipe,
                    task.distillation,
                    task.nesting,
                    task.quantization,
                )
            ],
            "versions": [
                torch.__version__,
                importlib.metadata.version("onnxruntime"),
                np.__version__,
            ],
        },
        sort_keys=True,
    ).encode()
    yield task.signature.SerializeToString(deterministic=True)
    for examples in (splits.train, splits.calibration, *splits.test):
        yield from _examples(examples)
    for path in _sources(task):
        yield path.read_bytes()


def _examples(examples: Examples) -> Iterator[bytes]:
    yield np.ascontiguousarray(examples.inputs).tobytes()
    yield np.ascontiguousarray(examples.labels).tobytes()


def _sources(task: Task) -> list[Path]:
    """Python files that the result follows from: ours, and those that define the task."""
    found = {path for name in LEARNING_MODULES for path in _files(name)}
    for maker in (task.load, task.teacher, task.augment):
        with contextlib.suppress(TypeError):  # a partial or a builtin has no file of its own
            found.add(Path(inspect.getfile(maker)))
    return sorted(found)


def _files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return list(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
