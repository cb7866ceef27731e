"""Trains a student on the features that its front end computes, so that they are computed once."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.distillation import AugmentedViews
from nestling_cloud.tasks.task import Task
from nestling_core.student.front_end import features_of
from nestling_core.student.network import NestedStudent


def behind_front_end(
    task: Task, views: AugmentedViews, inputs: NDArray[np.float32]
) -> tuple[Task, AugmentedViews, NDArray[np.float32]]:
    """Return the task and the data of a student as its first block sees them.

    The student of this task has no front end, and its inputs are features. If the task's student
    has no front end, everything is returned unchanged.

    Args:
        task: the task.
        views: the augmented inputs with the teacher's answers.
        inputs: the inputs without augmentation, (N, *shape).

    Returns:
        The task, the views and the inputs.
    """
    front_end, shape = task.student.front_end, task.signature.shape
    if front_end is None:
        return task, views, inputs
    signature = Signature()
    signature.CopyFrom(task.signature)
    signature.shape[:] = task.student.read_shape(shape)
    inner = dataclasses.replace(
        task, signature=signature, student=dataclasses.replace(task.student, front_end=None)
    )
    copies = torch.stack([features_of(front_end, view) for view in views.inputs])
    features = features_of(front_end, torch.from_numpy(inputs)).numpy()
    return inner, dataclasses.replace(views, inputs=copies), features


def with_front_end(task: Task, student: NestedStudent) -> NestedStudent:
    """Return a trained student with the front end of the task's student.

    Args:
        task: the task, whose inputs the returned student takes.
        student: the student in evaluation mode, which was trained behind the front end.
    """
    if task.student.front_end is None:
        return student
    whole = NestedStudent(task.signature, task.student)
    whole.load_state_dict(student.state_dict())
    return whole.eval()
