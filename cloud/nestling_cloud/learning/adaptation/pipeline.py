"""From a task and unlabelled inputs of another domain to everything that a bundle holds."""

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.adaptation.cross_domain import (
    AdaptationConfig,
    adapt,
    answered,
    frames_of,
    into_target,
)
from nestling_cloud.learning.adaptation.sensor_frame import FrameChoice
from nestling_cloud.learning.adaptation.target_inputs import check_target
from nestling_cloud.learning.check_teacher import check_teaching, to_serve
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
    """Train the teacher on the task's data, distil and quantise a nest for another domain.

    Nobody has labelled that domain, so what routes is fitted on the task's own calibration inputs,
    as the target's sensor would have recorded them.

    Args:
        task: what to learn.
        splits: its data, the source; the test part is not looked at.
        target: unlabelled, (N, *shape).
        config: what is known of the shift.
        seed: initial weights, shuffling, augmentation.
        progress: told every epoch.

    Returns:
        What a bundle holds, and in which frame the target was found.

    Raises:
        AdaptationError: inputs or frames that do not fit the task.
        TeacherError: the teacher does not fit the signature, or cannot be exported.
        TeacherFeatureError: the teacher has no such feature as the distillation asks for.
        TrainingError: the data is too small, or a loss left the finite numbers.
    """
    check_target(task, target)  # before the teacher learns for long
    frames_of(task, config)
    check_teaching(task, splits.train.inputs)
    teacher = train_teacher(task, splits.train, seeded(seed), progress)
    adapted = adapt(task, teacher, splits.train, target, config, seed=seed, progress=progress)
    there = Splits(
        train=answered(adapted.teacher, target),
        calibration=into_target(adapted.teacher, splits.calibration),
        test=[],
    )
    cloud, logits = to_serve(task, adapted.teacher, there.calibration)
    learned = finish(task, there, adapted.student, cloud, logits, seed=seed, progress=progress)
    return learned, adapted.choice
