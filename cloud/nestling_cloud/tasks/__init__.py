"""Contains the built-in tasks, and everything needed to write your own task.

A task consists of data, the input signature, the classes, the teacher and the student. This package
may import `datasets`, `recipes` and `models`, but nothing that trains.
"""

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import Grow, Joint, Nesting
from nestling_cloud.recipes.quantization import Quantization
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.batches import examples_from
from nestling_cloud.tasks.examples import Examples, Splits, concatenate
from nestling_cloud.tasks.files import DataFiles, DataMissingError
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.loader import BUILT_IN, load_task
from nestling_cloud.tasks.quick import quick_task
from nestling_cloud.tasks.stored_inputs import StoredInputs, StoredInputsError, store_inputs
from nestling_cloud.tasks.task import Task, TaskError
from nestling_core.student.blocks import Conv, Depthwise, Gru, Lstm, Shuffle
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling_core.student.log_mel import LogMel, log_mel

__all__ = [
    "BUILT_IN",
    "Conv",
    "DataFiles",
    "DataMissingError",
    "Depthwise",
    "Distillation",
    "Examples",
    "Grow",
    "Gru",
    "Inputs",
    "Joint",
    "LogMel",
    "Lstm",
    "Nesting",
    "OnnxTeacher",
    "Quantization",
    "Recipe",
    "Shuffle",
    "Signature",
    "Splits",
    "StoredInputs",
    "StoredInputsError",
    "StudentConfig",
    "Task",
    "TaskError",
    "concatenate",
    "conv_student",
    "deepsense_student",
    "domains",
    "examples",
    "examples_from",
    "fashion",
    "inputs",
    "load_task",
    "loader",
    "log_mel",
    "new_task",
    "pictures",
    "quick",
    "quick_task",
    "recurrent_student",
    "row_file",
    "sample",
    "separable_student",
    "shuffle_student",
    "single_label",
    "sounds",
    "spoken_digits",
    "store_inputs",
    "stored_inputs",
    "task",
    "task_file",
    "task_modules",
    "user_code_errors",
    "wearable",
]
