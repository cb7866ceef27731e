"""Train a task and release the result as a repository's next release."""

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
    """Train teacher, student and multiplexer, and release the bundle.

    Args:
        repository: repository to release to, under its next release number; created if it does not
            exist.
        task: task to train.
        splits: the task's data.
        seed: random seed of the training.
        progress: advances with every epoch.

    Returns:
        The version and manifest of the released bundle.

    Raises:
        RepositoryError: the repository holds another task, whose devices would refuse this one.
        TrainingError: the data is too small, or a loss is not finite.
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
    """Train for a domain without labels, and release the bundle.

    Args:
        repository: repository to release to, under its next release number; created if it does not
            exist.
        task: task to train.
        splits: the task's labeled data.
        target: unlabeled inputs of the other domain, (N, *shape).
        config: which sensor frames to try, and other options of the adaptation.
        seed: random seed of the training.
        progress: advances with every epoch.

    Returns:
        The version and manifest of the released bundle, and the sensor frame that was chosen.

    Raises:
        RepositoryError: the repository holds another task, whose devices would refuse this one.
        AdaptationError: the inputs or frames do not fit the task.
        TrainingError: the data is too small, or a loss is not finite.
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
            f"{repository.root} holds releases of {current.task!r}, whose devices would refuse "
            f"{task.name!r}; name another folder"
        )
    return current.release + 1
