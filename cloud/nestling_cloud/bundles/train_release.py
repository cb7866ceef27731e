"""Learns a task and makes it the next release of a repository of one's own."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.delivery_pb2 import GetDesiredBundleResponse
from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.learning.adaptation import AdaptationConfig, FrameChoice
from nestling_cloud.learning.adaptation.pipeline import learn_adapted
from nestling_cloud.learning.pipeline import learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Splits, Task


def train_next(
    repository: Repository, task: Task, splits: Splits, *, seed: int, progress: Progress
) -> GetDesiredBundleResponse:
    """Train teacher, nest and multiplexer, and release what comes of it.

    Args:
        repository: made if need be; its next release number is taken.
        task: what to learn.
        splits: its data.
        seed: of the training.
        progress: told every epoch.

    Raises:
        RepositoryError: the repository holds another task, whose devices would refuse this one.
        TrainingError: the data is too small, or a loss left the finite numbers.
    """
    release = _next_number(repository, task)
    learned = learn(task, splits, seed=seed, progress=progress)
    return release_bundle(repository, task, learned, release=release)


def adapt_next(
    repository: Repository,
    task: Task,
    splits: Splits,
    target: NDArray[np.float32],
    config: AdaptationConfig,
    *,
    seed: int,
    progress: Progress,
) -> tuple[GetDesiredBundleResponse, FrameChoice]:
    """Train for a domain that nobody has labelled, and release what comes of it.

    Args:
        repository: made if need be; its next release number is taken.
        task: what to learn.
        splits: its labelled data.
        target: unlabelled, (N, *shape).
        config: what is known of the shift.
        seed: of the training.
        progress: told every epoch.

    Raises:
        RepositoryError: the repository holds another task, whose devices would refuse this one.
        AdaptationError: inputs or frames that do not fit the task.
        TrainingError: the data is too small, or a loss left the finite numbers.
    """
    release = _next_number(repository, task)
    learned, choice = learn_adapted(task, splits, target, config, seed=seed, progress=progress)
    return release_bundle(repository, task, learned, release=release), choice


def _next_number(repository: Repository, task: Task) -> int:
    if repository.desired() is None:
        return 1
    current = repository.manifest()
    if current.task != task.name:
        raise RepositoryError(
            f"{repository.root} holds releases of {current.task!r}, and its devices would "
            f"refuse {task.name!r}; name another folder"
        )
    return current.release + 1
