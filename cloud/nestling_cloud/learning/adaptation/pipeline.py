"""Train everything that a bundle for another domain holds, from a task and unlabeled inputs."""

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.adaptation.cross_domain import (
    AdaptationConfig,
    adapt,
    frames_of,
    into_target,
    with_pseudo_labels,
)
from nestling_cloud.learning.adaptation.sensor_frame import FrameChoice
from nestling_cloud.learning.adaptation.target_inputs import check_target
from nestling_cloud.learning.check_teacher import check_teaching, prepare_to_serve
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.pipeline import LearnedTask, finish
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Splits, Task


def learn_adapted(
    task: Task,
    splits: Splits,
    target: NDArray[np.float32],
    config: AdaptationConfig,
    *,
    seed: int,
    progress: Progress,
) -> tuple[LearnedTask, FrameChoice]:
    """Train the teacher on the task's data, distill and quantize a nest for another domain.

    That domain has no labels, so the multiplexer is fitted on the task's own calibration inputs, as
    the target's sensor would have recorded them.

    Args:
        task: what to learn.
        splits: data of the source; the test part is not used.
        target: unlabeled inputs, (N, *shape).
        config: what is known about the shift.
        seed: for initial weights, shuffling and augmentation.
        progress: shows each epoch.

    Returns:
        Everything that a bundle holds, and the frame chosen for the target.

    Raises:
        AdaptationError: inputs or frames that do not fit the task.
        TeacherError: the teacher does not fit the signature, or cannot be exported.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss is no longer finite.
    """
    check_target(task, target)  # fail before the teacher is trained
    frames_of(task, config)
    check_teaching(task, splits.train.inputs)
    teacher = train_teacher(task, splits.train, seeded(seed), progress)
    adapted = adapt(task, teacher, splits.train, target, config, seed=seed, progress=progress)
    target_splits = Splits(
        train=with_pseudo_labels(adapted.teacher, target),
        calibration=into_target(adapted.teacher, splits.calibration),
        test=[],
    )
    cloud, logits = prepare_to_serve(task, adapted.teacher, target_splits.calibration)
    learned = finish(
        task, target_splits, adapted.student, cloud, logits, seed=seed, progress=progress
    )
    return learned, adapted.choice
