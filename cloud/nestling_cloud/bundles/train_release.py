"""Trains a task and releases the result as a repository's next release."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.delivery_pb2 import GetDesiredBundleResponse
from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.learning.adaptation import AdaptationConfig, FrameChoice
from nestling_cloud.learning.adaptation.pipeline import learn_adapted
from nestling_cloud.learning.pipeline import learn
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Splits
from nestling_cloud.tasks.task import Task


def train_next(
    repository: Repository, task: Task, splits: Splits, *, seed: int, progress: Progress
) -> GetDesiredBundleResponse:
    """Train a task's models and release them as the repository's next bundle.

    Args:
        repository: the repository to release to, which is created if it does not exist.
        task: the task to train.
        splits: the task's data.
        seed: the random seed of the training.
        progress: the display of how many epochs are done.

    Returns:
        The version and manifest of the released bundle.

    Raises:
        RepositoryError: the repository has releases of another task, whose devices would refuse
            releases of this task.
        TeacherError: the task's teacher cannot be built or served.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
        UnfitBundleError: the trained bundle cannot be served, or no device could run it.
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
    """Train a task's models, adapt them to a domain without labels, and release the next bundle.

    Args:
        repository: the repository to release to, which is created if it does not exist.
        task: the task to train.
        splits: the task's labeled data.
        target: unlabeled inputs of the domain to adapt to, (N, *shape).
        config: the sensor frames to try, which are the ways in which the sensor may be mounted.
        seed: the random seed of the training.
        progress: the display of how many epochs are done.

    Returns:
        The version and manifest of the released bundle, and the sensor frame that was chosen.

    Raises:
        RepositoryError: the repository has releases of another task, whose devices would refuse
            releases of this task.
        TaskError: the task is not a single-label task.
        AdaptationError: the inputs or frames do not fit the task.
        TeacherError: the task's teacher cannot be built or served.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
        UnfitBundleError: the trained bundle cannot be served, or no device could run it.
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
