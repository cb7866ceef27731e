"""Trains the contents of a bundle (a release) for a domain that has only unlabeled inputs."""

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
from nestling_cloud.tasks.examples import Splits
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.single_label import require_single_label
from nestling_cloud.tasks.task import Task


def learn_adapted(
    task: Task,
    splits: Splits,
    target: Inputs,
    config: AdaptationConfig,
    *,
    seed: int,
    progress: Progress,
) -> tuple[LearnedTask, FrameChoice]:
    """Return the contents of a bundle for another domain, and the frame chosen for its sensor.

    The teacher is trained on the task's own data (the source). The student is trained on this data
    and on the unlabeled inputs of the other domain (the target). Because the target has no labels,
    the multiplexer is fitted on the source's calibration inputs, after these are transformed to
    what the target's sensor would have recorded.

    Args:
        task: the task to learn.
        splits: the data of the source, of which the test part is not used.
        target: the unlabeled inputs of the target, (N, *shape).
        config: what is known about the shift between the domains.
        seed: the random seed for initial weights, shuffling and augmentation.
        progress: the progress display, advanced once per epoch.

    Returns:
        The contents of the bundle, and the frame (orientation) chosen for the target's sensor.

    Raises:
        TaskError: the task is not a single-label task.
        AdaptationError: the inputs or the frames do not fit the task.
        TeacherError: the teacher cannot be made, does not fit the signature, or cannot be exported
            or served, or its answers differ after the export.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
    """
    require_single_label(task, "adaptation to another domain")
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
