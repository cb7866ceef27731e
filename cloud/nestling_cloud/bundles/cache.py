"""Trained bundles, kept under a hash of everything that they follow from.

A folder of the cache is no proof of what is in it: every part is held against its digest before it
is used, and a damaged bundle is made again.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from nestling_cloud.atomic_file import sync_folder
from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.errors import CloudError
from nestling_cloud.learning.pipeline import LearnedTask, learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Splits, Task
from nestling_cloud.temporary import remove_abandoned, temporary_folder

_FIRST_RELEASE = 1
_MAKING = ".making-"


class CacheError(CloudError):
    """A folder that trained bundles cannot be kept in."""


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
class CachedRelease:
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
    say: Callable[[str], None] = lambda _: None,
) -> CachedRelease:
    """Take a task's bundle from the cache, or train it and keep it.

    Args:
        task: what to learn.
        splits: its data.
        seed: of the training.
        progress: told every epoch.
        retrain: train again even if the cache has it.
        cache: folder to keep bundles in; by default the user's.
        say: told that the bundle comes from the cache, or why the one there is made again.

    Raises:
        TeacherError: the task cannot make its teacher, or it cannot be served.
        TrainingError: the data is too small, or a loss left the finite numbers.
        CacheError: the bundle cannot be kept.
    """
    bundles = (cache or cache_folder()) / "bundles"
    folder = bundles / f"{task.name}-{fingerprint(task, splits, seed)[:16]}"
    if not retrain and os.path.lexists(folder):
        fault = _fault(folder, task)
        if fault is None:
            say(f"bundle from the cache: {folder}")
            return CachedRelease(folder=folder, from_cache=True)
        say(f"the bundle in the cache is damaged and is made again: {fault}")
    with _kept_in(bundles):  # told before the training and not after it
        bundles.mkdir(parents=True, exist_ok=True)
        remove_abandoned(bundles, _MAKING)
    learned = learn(task, splits, seed=seed, progress=progress)
    with _kept_in(bundles):
        _keep(bundles, folder, task, learned, replace=retrain)
    return CachedRelease(folder=folder, from_cache=False)


@contextlib.contextmanager
def _kept_in(bundles: Path) -> Iterator[None]:
    """Tell what the disk refuses in words."""
    try:
        yield
    except OSError as err:
        raise CacheError(
            f"trained bundles cannot be kept in {bundles}: {err.strerror or err}; make room, or "
            "name another folder in NESTLING_CACHE"
        ) from err


def _keep(bundles: Path, folder: Path, task: Task, learned: LearnedTask, *, replace: bool) -> None:
    """Release a bundle beside its place and move it there as a whole."""
    with temporary_folder(_MAKING, bundles) as making:
        release_bundle(Repository(making), task, learned, release=_FIRST_RELEASE)
        _put(making, folder, task, replace=replace)
    sync_folder(bundles)


def _fault(folder: Path, task: Task) -> str | None:
    """What is wrong with a folder of the cache; None if it holds a whole bundle of the task."""
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
    """Move a finished bundle to its place, unless another run has put one there meanwhile."""
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
