"""Distills a student for a domain without labels.

As in MobileDA (Yang et al. 2020), the teacher learns from the labeled source domain. The student
learns from the same data and from the teacher's answers to the inputs of the target domain.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from nestling_cloud.learning.adaptation.sensor_frame import (
    Frame,
    FrameChoice,
    FramedTeacher,
    choose_frame,
    turn,
)
from nestling_cloud.learning.adaptation.target_inputs import AdaptationError, check_target
from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.learning.loop import logits_of, seeded
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Examples, concatenate
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.task import Task
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate


@dataclass(frozen=True, kw_only=True)
class AdaptationConfig:
    """What is known about the shift between the source domain and the target domain.

    Attributes:
        frames: the possible frames (orientations) of the target's sensor, the most likely first.
            Each is a matrix that maps target inputs to the source's frame. Without any frames, the
            inputs are not transformed.
    """

    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdaptedNetworks:
    """The networks for the target domain, which accept the domain's inputs as recorded.

    Attributes:
        student: the nested student, with the normalization of every capacity measured on the
            target.
        teacher: a teacher that maps its inputs by the chosen frame and passes them to the source's
            teacher.
        choice: the chosen frame and its gain over the first frame.
    """

    student: NestedStudent
    teacher: FramedTeacher
    choice: FrameChoice


def adapt(
    task: Task,
    teacher: nn.Module,
    source: Examples,
    target: Inputs,
    config: AdaptationConfig,
    *,
    seed: int,
    progress: Progress,
) -> AdaptedNetworks:
    """Return a student and a teacher for the target domain, without using labels of this domain.

    The function chooses the frame (orientation) of the target's sensor with the teacher's help, and
    transforms the source's inputs to that frame. The student is trained with the task's own recipe,
    on the source with its labels and on the target with the teacher's answers as labels. Its
    normalization statistics are then measured again on the target.

    Args:
        task: the task, which sets the student's sizes and recipe.
        teacher: the teacher trained on the source.
        source: the labeled data of the source, which is kept in memory even if it is in a file.
        target: the unlabeled inputs of the target, (N, *shape).
        config: what is known about the shift between the domains.
        seed: the random seed for initial weights, shuffling and augmentation.
        progress: the progress display, advanced once per epoch.

    Raises:
        AdaptationError: the inputs or the frames do not fit the task.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
    """
    check_target(task, target)
    choice = choose_frame(teacher, target, frames_of(task, config))
    framed = FramedTeacher(teacher, choice.frame)
    examples = training_set(framed, source, target)
    student = train_student(task, framed, examples, seeded(seed), progress)
    recalibrate(student, tensors_of(target))  # it will only run on the target domain
    return AdaptedNetworks(student=student, teacher=framed, choice=choice)


def frames_of(task: Task, config: AdaptationConfig) -> tuple[Frame, ...]:
    """Return the possible frames (orientations) of the target's sensor.

    If `config` has no frames, the result is only the one that leaves the inputs as they are.

    Args:
        task: the task, which defines the number of channels.
        config: what is known about the shift between the domains.

    Raises:
        AdaptationError: a frame is not an invertible matrix with one row and one column for each
            channel of the task.
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


def training_set(teacher: FramedTeacher, source: Examples, target: Inputs) -> Examples:
    """Return the student's training data, which joins both domains in the target's frame.

    The examples of the source come first, followed by those of the target, whose labels are the
    teacher's answers.

    Args:
        teacher: the teacher, which answers inputs in the target's frame.
        source: the labeled data of the source, in the source's frame.
        target: the unlabeled inputs of the target, (N, *shape).
    """
    return concatenate([into_target(teacher, source), with_pseudo_labels(teacher, target)])


def into_target(teacher: FramedTeacher, source: Examples) -> Examples:
    """Return the source's examples with the inputs that the target's sensor would have recorded.

    Args:
        teacher: the teacher, whose matrix `frame` maps target inputs to the source's frame. The
            source's inputs are mapped by its inverse.
        source: the labeled data of the source.
    """
    back = torch.linalg.inv(teacher.frame)
    turned = turn(torch.from_numpy(source.inputs[:]), back).numpy()
    return replace(source, inputs=turned)


def with_pseudo_labels(teacher: FramedTeacher, target: Inputs) -> Examples:
    """Return the target's inputs with the teacher's most likely classes as labels.

    Args:
        teacher: the teacher, which answers inputs in the target's frame.
        target: the unlabeled inputs of the target, (N, *shape).
    """
    answers = logits_of(teacher, tensors_of(target)).argmax(dim=1).numpy()
    return Examples(inputs=target, labels=answers)
