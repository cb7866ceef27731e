"""Trained bundles, kept under a hash of everything that they follow from."""

import dataclasses
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from nestling_cloud.bundles.build import release_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning import learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Splits, Task

_FIRST_RELEASE = 1


def cache_folder() -> Path:
    """`$NESTLING_CACHE`, else `nestling` in the user's cache folder."""
    named = os.environ.get("NESTLING_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nestling"


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
    if retrain:
        shutil.rmtree(folder, ignore_errors=True)
    elif Repository(folder).desired() is not None:
        return Trained(folder=folder, from_cache=True)
    learned = learn(task, splits, seed=seed, progress=progress)
    bundles.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=bundles, prefix=".making-"))
    try:
        release_bundle(Repository(making), task, learned, release=_FIRST_RELEASE)
        # Another run may have trained the same; whoever is first stays, the other's is no worse.
        if not folder.exists():
            making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Trained(folder=folder, from_cache=False)


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
            "student": dataclasses.asdict(task.student),
            "recipes": [
                dataclasses.asdict(task.teacher_recipe),
                dataclasses.asdict(task.student_recipe),
            ],
            "versions": [torch.__version__, onnxruntime.__version__, np.__version__],
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
    found: set[Path] = set()
    for package in ("nestling", "nestling_cloud"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        for folder in spec.submodule_search_locations or ():
            found.update(Path(folder).rglob("*.py"))
    for function in (task.load, task.teacher, task.augment):
        code = getattr(function, "__code__", None)
        if code is not None:
            found.add(Path(code.co_filename))
    return sorted(found)
