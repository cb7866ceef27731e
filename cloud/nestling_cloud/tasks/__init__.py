"""Tasks: the built-in ones, and what a task of yours is made of."""

from nestling.student.network import StudentConfig
from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.tasks.files import DataFiles, DataMissingError
from nestling_cloud.tasks.loader import BUILT_IN, load_task
from nestling_cloud.tasks.task import Examples, Recipe, Splits, Task, TaskError, concatenate

__all__ = [
    "BUILT_IN",
    "DataFiles",
    "DataMissingError",
    "Examples",
    "Recipe",
    "Signature",
    "Splits",
    "StudentConfig",
    "Task",
    "TaskError",
    "concatenate",
    "load_task",
]
