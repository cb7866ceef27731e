"""Cross-domain distillation: a student for a domain that nobody has labelled.

After MobileDA (Yang et al. 2020): the teacher learns from the labelled source, and the student from
what it says of the target.
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
    """What is known of the shift.

    Attributes:
        frames: in which the target's sensor may lie, the most likely first; each turns target
            inputs into the source's frame. The inputs stay as they are if there is none.
    """

    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdaptedNetworks:
    """Networks for the target domain. They take its inputs as they were recorded.

    Attributes:
        student: nested, every capacity's normalisation measured on the target.
        teacher: the source's, behind the chosen frame.
        choice: that frame, and how clear the choice was.
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
    """Distil a nested student for the target domain without its labels.

    The teacher's frame is chosen, the source is turned into the target's frame, and the student
    learns by the task's own recipe from both: from the source with its labels, from the target with
    the teacher's answers as labels.

    Args:
        task: student sizes and recipe.
        teacher: trained on the source.
        source: labelled.
        target: unlabelled, (N, *shape).
        config: what is known of the shift.
        seed: initial weights, shuffling, augmentation.
        progress: told every epoch.

    Raises:
        AdaptationError: inputs or frames that do not fit the task.
    """
    check_target(task, target)
    choice = choose_frame(teacher, target, frames_of(task, config))
    framed = FramedTeacher(teacher, choice.frame)
    examples = training_set(framed, source, target)
    student = train_student(task, framed, examples, seeded(seed), progress)
    recalibrate(student, torch.from_numpy(target))  # it will see no other domain
    return AdaptedNetworks(student=student, teacher=framed, choice=choice)


def frames_of(task: Task, config: AdaptationConfig) -> tuple[Frame, ...]:
    """Frames to choose from, at least one.

    Raises:
        AdaptationError: they do not fit the task.
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
    """What the student learns from, all of it in the target's frame.

    Args:
        teacher: behind the target's frame.
        source: labelled; its movements as the target's sensor would have recorded them come first.
        target: unlabelled; it follows with the teacher's answers for labels.
    """
    return concatenate([into_target(teacher, source), answered(teacher, target)])


def into_target(teacher: FramedTeacher, source: Examples) -> Examples:
    """Turn the source's inputs into what the target's sensor would have recorded."""
    back = torch.linalg.inv(teacher.frame)
    turned = turn(torch.from_numpy(source.inputs), back).numpy()
    return Examples(inputs=turned, labels=source.labels)


def answered(teacher: FramedTeacher, target: NDArray[np.float32]) -> Examples:
    """The target's inputs with the teacher's answers for labels."""
    answers = logits_of(teacher, torch.from_numpy(target)).argmax(dim=1).numpy()
    return Examples(inputs=target, labels=answers)
