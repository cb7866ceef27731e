"""Inputs of the target domain, which nobody has labelled."""

import tokenize
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.errors import CloudError
from nestling_cloud.tasks.task import Task


class AdaptationError(CloudError):
    """Inputs or settings from which no student can be adapted."""


def read_target(task: Task, path: Path) -> NDArray[np.float32]:
    """Read unlabelled inputs from an .npy file.

    Raises:
        AdaptationError: no such file, or it holds something else, or what does not fit the task.
    """
    try:
        # Mapped, so that a header which claims more than the file holds costs no memory.
        found = np.array(np.lib.format.open_memmap(path, mode="r"))
    except OSError as err:
        raise AdaptationError(f"{path}: {err.strerror or err}") from err
    except (ValueError, SyntaxError, tokenize.TokenError, OverflowError) as err:
        raise AdaptationError(f"{path} is no .npy file of numbers; numpy.save writes one") from err
    if found.ndim == 0:
        raise AdaptationError(f"{path} is not one array of inputs; save these alone as .npy")
    check_target(task, found)
    return found


def check_target(task: Task, target: NDArray[np.float32]) -> None:
    """Refuse unlabelled inputs that do not fit the task.

    Args:
        task: whose signature they follow.
        target: (N, *shape), float32.

    Raises:
        AdaptationError: too few, another shape or type, or not finite.
    """
    if len(target) < 2:
        raise AdaptationError(
            f"task {task.name}: {len(target)} target inputs are too few; record a few hundred "
            "where the students will run"
        )
    wanted = (len(target), *task.signature.shape)
    if target.shape != wanted or target.dtype != np.float32:
        raise AdaptationError(
            f"task {task.name}: target inputs are {target.dtype} {target.shape}, the signature "
            f"asks for float32 {wanted}"
        )
    if not np.isfinite(target).all():
        raise AdaptationError(
            f"task {task.name}: target inputs are not finite; leave the broken ones out"
        )
