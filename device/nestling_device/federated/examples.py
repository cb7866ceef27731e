"""A device's own labelled examples: a file that never leaves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.untrusted import UnreadableError, load_arrays
from nestling_device.errors import DeviceError

# The last part of every stretch of one label is held out, to tell whether learning helped.
_HELD_OUT_PART = 5
# The user's own file, so only what no machine here could hold.
_MOST_BYTES = 1 << 36


class ExamplesError(DeviceError):
    """A file of labelled examples that cannot be learned from."""


@dataclass(frozen=True, kw_only=True)
class LocalExamples:
    """Labelled windows, to learn from and to be judged by.

    Attributes:
        inputs: float32, (N, *shape).
        labels: int64, (N,).
        held_out_inputs: never trained on, (M, *shape); M may be 0.
        held_out_labels: likewise, (M,).
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    held_out_inputs: NDArray[np.float32]
    held_out_labels: NDArray[np.int64]


def read_examples(path: Path, shape: Sequence[int], classes: int) -> LocalExamples:
    """Read a .npz file with `windows` and `labels`, in the order in which they were recorded.

    Args:
        path: `windows` is float32 (N, *shape), `labels` int64 (N,); nothing is unpickled.
        shape: of the task's inputs.
        classes: number of the task's classes.

    Raises:
        ExamplesError: not such a file, or values that no student can learn from.
    """
    try:
        arrays = load_arrays(path, most_bytes=_MOST_BYTES)
        windows, labels = arrays["windows"], arrays["labels"]
    except (UnreadableError, KeyError) as err:
        raise ExamplesError(
            f"{path} is not a readable .npz file with windows and labels: {err}"
        ) from err
    _check(path, windows, labels, tuple(shape), classes)
    return split(windows, labels)


def _check(
    path: Path,
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    shape: tuple[int, ...],
    classes: int,
) -> None:
    if windows.dtype != np.float32 or windows.shape[1:] != shape or len(windows) < 2:
        raise ExamplesError(
            f"{path} has windows {windows.dtype} {windows.shape}; float32 (N, "
            f"{', '.join(map(str, shape))}) with N at least 2 is needed"
        )
    if not np.isfinite(windows).all():
        raise ExamplesError(f"{path} has windows that are not finite; leave them out")
    if labels.dtype != np.int64 or labels.shape != (len(windows),):
        raise ExamplesError(
            f"{path} has labels {labels.dtype} {labels.shape}; int64 ({len(windows)},) is needed"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ExamplesError(f"{path} has labels outside 0 to {classes - 1}")


def split(windows: NDArray[np.float32], labels: NDArray[np.int64]) -> LocalExamples:
    """Hold out the last fifth of every stretch of one label.

    Neighbours in time are alike, and windows may overlap: the window before those that are held
    out is left out of both parts.
    """
    trained, held_out = [], []
    for stretch in np.split(np.arange(len(labels)), np.flatnonzero(np.diff(labels)) + 1):
        count = len(stretch) // _HELD_OUT_PART
        held_out.append(stretch[len(stretch) - count :])
        trained.append(stretch[: len(stretch) - count - (count > 0)])
    one, other = np.concatenate(trained), np.concatenate(held_out)
    return LocalExamples(
        inputs=windows[one],
        labels=labels[one],
        held_out_inputs=windows[other],
        held_out_labels=labels[other],
    )
