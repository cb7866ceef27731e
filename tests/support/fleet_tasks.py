"""Paths of the tasks and the scenario of small fleets, for tests that run one."""

import shutil
from pathlib import Path

from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.tasks import load_task

_SUPPORT = Path(__file__).parent
ROOT = _SUPPORT.parents[1]
THREE_WRISTS = _SUPPORT.parent / "e2e" / "three_wrists.toml"


def task_reference(name: str) -> str:
    """Return the argument of `--task` for one of the tasks in short_streams.py."""
    return f"{_SUPPORT / 'short_streams.py'}:{name}"


def fill_cache(cache: Path, repository: Path, *, seed: int) -> None:
    """Copy a trained bundle to the cache entries of the tasks SHORT and LONG.

    Args:
        cache: folder of the cache.
        repository: folder of the repository with the bundle.
        seed: seed of the run.
    """
    for name in ("SHORT", "LONG"):
        task = load_task(task_reference(name))
        digest = fingerprint(task, task.load_checked(None, seed), seed)
        shutil.copytree(repository, cache / "bundles" / f"{task.name}-{digest[:16]}")
