"""Trains a student on the features that its front end computes, so that they are computed once."""

import dataclasses

import torch

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.distillation import AugmentedViews
from nestling_cloud.learning.distillation.augmented_views import parts_of
from nestling_cloud.learning.distillation.view_tensors import ViewTensors
from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.task import Task
from nestling_core.student.front_end import features_of
from nestling_core.student.network import NestedStudent


def behind_front_end(
    task: Task, views: AugmentedViews, inputs: Inputs
) -> tuple[Task, AugmentedViews, Inputs]:
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
    given, read = tensors_of(inputs), tuple(signature.shape)
    copies = ViewTensors(len(views.inputs), read, len(given), torch.float32)
    for index, view in enumerate(views.inputs):
        for part in parts_of(view.shape):
            copies.put(index, part.start, features_of(front_end, view[part]))
    found = [features_of(front_end, given[part]) for part in parts_of(given.shape)]
    features = torch.cat(found).numpy()
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
