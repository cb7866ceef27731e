"""Caches trained bundles under a hash of everything that affects them.

Every part of a cached bundle is checked against its digest before the bundle is used. A damaged
bundle is trained again.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.errors import CloudError
from nestling_cloud.learning.pipeline import LearnedTask, learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Splits
from nestling_cloud.tasks.task import Task
from nestling_cloud.temporary_files import remove_abandoned, temporary_folder
from nestling_core.file_sync import sync_folder

_FIRST_RELEASE = 1
_MAKING = ".making-"


class CacheError(CloudError):
    """Raised when a trained bundle cannot be stored in the cache folder."""


def keep_torch_cache() -> None:
    """Make torch store compiled code in the cache folder instead of among temporary files.

    If the user has set another folder for this code, that folder is kept. Call this before torch
    compiles anything.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torchinductor"))


def trained_repository(
    task: Task,
    splits: Splits,
    *,
    seed: int,
    progress: Progress,
    retrain: bool = False,
    cache: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Return the folder of a repository with a task's bundle.

    If the cache has no valid copy, the bundle is trained. A newly trained bundle becomes the first
    release of a new repository in the cache.

    Args:
        task: the task of the bundle.
        splits: the task's data.
        seed: the random seed of the training.
        progress: the display of how many epochs are done.
        retrain: True to train even if the cache has the bundle.
        cache: the cache folder; None for `cache_folder()`.
        report: a function that receives a message if the bundle comes from the cache, or if the
            cached bundle is damaged.

    Raises:
        TeacherError: the task's teacher cannot be built or served.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
        UnfitBundleError: the trained bundle cannot be served, or no device could run it.
        CacheError: the bundle cannot be stored.
    """
    bundles = (cache or cache_folder()) / "bundles"
    folder = bundles / f"{task.name}-{fingerprint(task, splits, seed)[:16]}"
    if not retrain and os.path.lexists(folder):
        fault = _fault(folder, task)
        if fault is None:
            report(f"bundle from the cache: {folder}; --retrain trains it again")
            return folder
        report(f"the bundle in the cache is damaged and is trained again: {fault}")
    with _writing_to(bundles):  # fails before the training rather than after it
        bundles.mkdir(parents=True, exist_ok=True)
        remove_abandoned(bundles, _MAKING)
    learned = learn(task, splits, seed=seed, progress=progress)
    with _writing_to(bundles):
        _keep(bundles, folder, task, learned, replace=retrain)
    return folder


@contextlib.contextmanager
def _writing_to(bundles: Path) -> Iterator[None]:
    """Turn an OSError raised in the `with` block into a CacheError that says what to do."""
    try:
        yield
    except OSError as err:
        raise CacheError(
            f"cannot store trained bundles in {bundles}: {err.strerror or err}; free some space, "
            "or name another folder in NESTLING_CACHE"
        ) from err


def _keep(bundles: Path, folder: Path, task: Task, learned: LearnedTask, *, replace: bool) -> None:
    """Store a trained bundle in the cache.

    The bundle is first released in a temporary folder, which is then moved into the cache, so that
    no process ever finds an incomplete bundle. If `replace` is False, a valid bundle that is
    already in the cache is kept.
    """
    with temporary_folder(_MAKING, bundles) as making:
        release_bundle(Repository(making), task, learned, release=_FIRST_RELEASE)
        _put(making, folder, task, replace=replace)
    sync_folder(bundles)


def _fault(folder: Path, task: Task) -> str | None:
    """Return what is wrong with a cached bundle; None if it is a complete bundle of the task."""
    try:
        manifest = Repository(folder).check()
    except RepositoryError as err:
        return str(err)
    except OSError as err:
        return f"{folder}: {err.strerror or err}"
    if (manifest.task, manifest.signature) != (task.name, task.signature):
        return f"{folder} has a bundle of another task"
    return None


def _put(making: Path, folder: Path, task: Task, *, replace: bool) -> None:
    """Move a finished bundle to its place in the cache.

    A damaged bundle in this place is replaced. A valid one, which another run may have stored in
    the meantime, is replaced only if `replace` is True.
    """
    if replace or _fault(folder, task) is not None:
        _remove(folder)
    try:
        making.rename(folder)
    except OSError:
        if _fault(folder, task) is not None:
            raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
