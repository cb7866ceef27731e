"""Cache trained bundles under a hash of everything that affects them.

Nothing in the cache is trusted by its name: every part is checked against its digest before it is
used, and a damaged bundle is trained again.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.errors import CloudError
from nestling_cloud.learning.pipeline import LearnedTask, learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Splits, Task
from nestling_cloud.temporary import remove_abandoned, temporary_folder
from nestling_core.file_sync import sync_folder

_FIRST_RELEASE = 1
_MAKING = ".making-"


class CacheError(CloudError):
    """Trained bundles cannot be stored in the cache folder."""


def cache_folder() -> Path:
    """Return `$NESTLING_CACHE` if it is set, otherwise `nestling` in the user's cache folder."""
    named = os.environ.get("NESTLING_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nestling"


def keep_torch_cache() -> None:
    """Let torch store compiled code in the cache folder instead of among temporary files.

    Call this before torch compiles anything.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torchinductor"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedRelease:
    """A repository with a released bundle.

    Attributes:
        folder: folder of the repository.
        from_cache: True if the bundle was in the cache, False if it has just been trained.
    """

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
    report: Callable[[str], None] = lambda _: None,
) -> CachedRelease:
    """Take a task's bundle from the cache, or train it and store it there.

    Args:
        task: task to train.
        splits: the task's data.
        seed: random seed of the training.
        progress: advances with every epoch.
        retrain: train even if the cache has the bundle.
        cache: cache folder; by default `cache_folder()`.
        report: receives a message if the bundle comes from the cache, or if the cached one is
            damaged.

    Raises:
        TeacherError: the task's teacher cannot be built or served.
        TrainingError: the data is too small, or a loss is not finite.
        CacheError: the bundle cannot be stored.
    """
    bundles = (cache or cache_folder()) / "bundles"
    folder = bundles / f"{task.name}-{fingerprint(task, splits, seed)[:16]}"
    if not retrain and os.path.lexists(folder):
        fault = _fault(folder, task)
        if fault is None:
            report(f"bundle from the cache: {folder}")
            return CachedRelease(folder=folder, from_cache=True)
        report(f"the bundle in the cache is damaged and is trained again: {fault}")
    with _writing_to(bundles):  # fails before the training rather than after it
        bundles.mkdir(parents=True, exist_ok=True)
        remove_abandoned(bundles, _MAKING)
    learned = learn(task, splits, seed=seed, progress=progress)
    with _writing_to(bundles):
        _keep(bundles, folder, task, learned, replace=retrain)
    return CachedRelease(folder=folder, from_cache=False)


@contextlib.contextmanager
def _writing_to(bundles: Path) -> Iterator[None]:
    """Turn an OSError into a CacheError that says what to do."""
    try:
        yield
    except OSError as err:
        raise CacheError(
            f"cannot store trained bundles in {bundles}: {err.strerror or err}; free some space, "
            "or name another folder in NESTLING_CACHE"
        ) from err


def _keep(bundles: Path, folder: Path, task: Task, learned: LearnedTask, *, replace: bool) -> None:
    """Release a bundle in a temporary folder and move that to its place atomically."""
    with temporary_folder(_MAKING, bundles) as making:
        release_bundle(Repository(making), task, learned, release=_FIRST_RELEASE)
        _put(making, folder, task, replace=replace)
    sync_folder(bundles)


def _fault(folder: Path, task: Task) -> str | None:
    """Describe what is wrong with a cache entry; None if it is a complete bundle of the task."""
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
    """Move a finished bundle to its place, unless another run has put one there since."""
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
