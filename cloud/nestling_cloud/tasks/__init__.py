"""Tasks: the built-in ones, and what a task of yours is made of."""

from nestling.student.blocks import Conv, Depthwise, Gru, Lstm, Shuffle
from nestling.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.tasks.batches import examples_from
from nestling_cloud.tasks.files import DataFiles, DataMissingError
from nestling_cloud.tasks.loader import BUILT_IN, load_task
from nestling_cloud.tasks.task import Examples, Recipe, Splits, Task, TaskError, concatenate

__all__ = [
    "BUILT_IN",
    "Conv",
    "DataFiles",
    "DataMissingError",
    "Depthwise",
    "Examples",
    "Gru",
    "Lstm",
    "Recipe",
    "Shuffle",
    "Signature",
    "Splits",
    "StudentConfig",
    "Task",
    "TaskError",
    "concatenate",
    "conv_student",
    "deepsense_student",
    "examples_from",
    "load_task",
    "recurrent_student",
    "separable_student",
    "shuffle_student",
]
