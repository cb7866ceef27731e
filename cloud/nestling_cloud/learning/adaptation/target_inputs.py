"""Reads and checks unlabeled inputs of the target domain."""

import tokenize
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.errors import CloudError
from nestling_cloud.tasks.inputs import Inputs, batches_of
from nestling_cloud.tasks.task import Task


class AdaptationError(CloudError):
    """Raised when unlabeled inputs cannot be read, or when inputs or frames do not fit a task."""


def read_target(task: Task, path: Path) -> NDArray[np.float32]:
    """Read unlabeled inputs from an .npy file, and check that they fit a task.

    Args:
        task: the task, whose signature the inputs must follow.
        path: the path of the file.

    Raises:
        AdaptationError: the file cannot be read, is not an .npy file of numbers, or contains inputs
            that do not fit the task.
    """
    try:
        # Memory-mapped, so that a header that claims more than the file holds costs no memory.
        found = np.array(np.lib.format.open_memmap(path, mode="r"))
    except OSError as err:
        raise AdaptationError(f"{path}: {err.strerror or err}") from err
    except (ValueError, SyntaxError, tokenize.TokenError, OverflowError) as err:
        raise AdaptationError(
            f"{path} is not an .npy file of numbers; write it with numpy.save"
        ) from err
    if found.ndim == 0:
        raise AdaptationError(f"{path} is not an array of inputs; save only the inputs in it")
    check_target(task, found)
    return found


def check_target(task: Task, target: Inputs) -> None:
    """Raise AdaptationError if unlabeled inputs do not fit the task.

    Args:
        task: the task, whose signature the inputs must follow.
        target: the unlabeled inputs, (N, *shape), in float32.

    Raises:
        AdaptationError: there are fewer than two inputs, their shape or type is wrong, or some of
            their numbers are not finite.
    """
    if len(target) < 2:
        raise AdaptationError(
            f"task {task.name}: {len(target)} target inputs are too few; record a few hundred "
            "where the students will run"
        )
    expected = (len(target), *task.signature.shape)
    if target.shape != expected or target.dtype != np.float32:
        raise AdaptationError(
            f"task {task.name}: target inputs are {target.dtype} {target.shape}, the signature "
            f"asks for float32 {expected}"
        )
    if not all(np.isfinite(batch).all() for batch in batches_of(target)):
        raise AdaptationError(f"task {task.name}: some target inputs are not finite; remove them")
