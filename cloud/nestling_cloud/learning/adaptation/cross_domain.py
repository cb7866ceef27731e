"""Distill a student for a domain without labels.

After MobileDA (Yang et al. 2020): the teacher learns from the labeled source, and the student from
the teacher's answers to the target.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling_cloud.learning.adaptation.sensor_frame import (
    Frame,
    FrameChoice,
    FramedTeacher,
    choose_frame,
    turn,
)
from nestling_cloud.learning.adaptation.target_inputs import AdaptationError, check_target
from nestling_cloud.learning.loop import logits_of, seeded
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Examples, Task, concatenate
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate


@dataclass(frozen=True, kw_only=True)
class AdaptationConfig:
    """What is known about the shift between the domains.

    Attributes:
        frames: possible frames of the target's sensor, the most likely first; each maps target
            inputs to the source's frame. Without any, the inputs stay as they are.
    """

    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdaptedNetworks:
    """Networks for the target domain. They take its inputs as recorded.

    Attributes:
        student: nested, every capacity's normalization measured on the target.
        teacher: the source's teacher with the chosen frame in front.
        choice: the chosen frame, and how clear the choice was.
    """

    student: NestedStudent
    teacher: FramedTeacher
    choice: FrameChoice


def adapt(
    task: Task,
    teacher: nn.Module,
    source: Examples,
    target: NDArray[np.float32],
    config: AdaptationConfig,
    *,
    seed: int,
    progress: Progress,
) -> AdaptedNetworks:
    """Distill a nested student for the target domain without its labels.

    The target's frame is chosen with the teacher, and the source is transformed to that frame. The
    student learns from both by the task's own recipe: from the source with its labels, and from the
    target with the teacher's answers as labels.

    Args:
        task: student sizes and recipe.
        teacher: trained on the source.
        source: labeled data.
        target: unlabeled inputs, (N, *shape).
        config: what is known about the shift.
        seed: for initial weights, shuffling and augmentation.
        progress: shows each epoch.

    Raises:
        AdaptationError: inputs or frames that do not fit the task.
        TrainingError: the data is too small, or a loss is no longer finite.
    """
    check_target(task, target)
    choice = choose_frame(teacher, target, frames_of(task, config))
    framed = FramedTeacher(teacher, choice.frame)
    examples = training_set(framed, source, target)
    student = train_student(task, framed, examples, seeded(seed), progress)
    recalibrate(student, torch.from_numpy(target))  # it will only run on the target domain
    return AdaptedNetworks(student=student, teacher=framed, choice=choice)


def frames_of(task: Task, config: AdaptationConfig) -> tuple[Frame, ...]:
    """Return the frames to choose from, at least one.

    Args:
        task: defines the number of channels.
        config: what is known about the shift.

    Raises:
        AdaptationError: the frames do not fit the task.
    """
    channels = task.signature.shape[0]
    for frame in config.frames:
        matrix = np.array(frame)
        if matrix.shape != (channels, channels) or np.linalg.matrix_rank(matrix) < channels:
            raise AdaptationError(
                f"task {task.name}: a frame is an invertible matrix of {channels} x {channels} "
                f"channels, not {frame}"
            )
    return config.frames or (tuple(map(tuple, np.eye(channels).tolist())),)


def training_set(teacher: FramedTeacher, source: Examples, target: NDArray[np.float32]) -> Examples:
    """Return the student's training data, all of it in the target's frame.

    Args:
        teacher: with the target's frame in front.
        source: labeled data, put first, as the target's sensor would have recorded it.
        target: unlabeled inputs, put last, with the teacher's answers as labels.
    """
    return concatenate([into_target(teacher, source), with_pseudo_labels(teacher, target)])


def into_target(teacher: FramedTeacher, source: Examples) -> Examples:
    """Transform the source's inputs to what the target's sensor would have recorded.

    Args:
        teacher: with the target's frame in front.
        source: labeled data.
    """
    back = torch.linalg.inv(teacher.frame)
    turned = turn(torch.from_numpy(source.inputs), back).numpy()
    return Examples(inputs=turned, labels=source.labels)


def with_pseudo_labels(teacher: FramedTeacher, target: NDArray[np.float32]) -> Examples:
    """Return the target's inputs with the teacher's answers as labels.

    Args:
        teacher: with the target's frame in front.
        target: unlabeled inputs, (N, *shape).
    """
    answers = logits_of(teacher, torch.from_numpy(target)).argmax(dim=1).numpy()
    return Examples(inputs=target, labels=answers)
