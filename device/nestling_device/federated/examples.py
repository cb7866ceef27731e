"""Reads a device's own labeled examples from a file that never leaves the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling_core.parsing.untrusted_data import UnreadableError, load_arrays
from nestling_device.errors import DeviceError

# The fewest examples that training accepts.
FEWEST_EXAMPLES = 2

# The last fifth of every stretch of one label is held out, to measure whether learning helped.
_HELD_OUT_PART = 5
# The file is the user's own, so the limit refuses only what no device could hold.
_MOST_BYTES = 1 << 36


class ExamplesError(DeviceError):
    """Raised when a file of labeled examples cannot be read or trained on."""


@dataclass(frozen=True, kw_only=True)
class LocalExamples:
    """A device's labeled windows, split into a training part and a held-out part.

    Attributes:
        inputs: the windows to train on, float32 (N, *shape).
        labels: the classes of the windows to train on, int64 (N,).
        held_out_inputs: the windows to measure accuracy on, float32 (M, *shape); M may be 0.
        held_out_labels: the classes of the windows to measure accuracy on, int64 (M,).
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    held_out_inputs: NDArray[np.float32]
    held_out_labels: NDArray[np.int64]


def read_examples(path: Path, shape: Sequence[int], classes: int) -> LocalExamples:
    """Return the labeled examples of a .npz file, split into a training part and a held-out part.

    Args:
        path: the file with `windows`, float32 (N, *shape), and `labels`, int64 (N,), in the order
            of recording. Nothing in the file is unpickled.
        shape: the shape of the task's inputs.
        classes: the number of the task's classes.

    Raises:
        ExamplesError: the file cannot be read, lacks these arrays, or has values that cannot be
            trained on.
    """
    windows, labels = _arrays(path)
    _check(path, windows, labels, tuple(shape), classes)
    return split(windows, labels)


def _arrays(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    try:
        arrays = load_arrays(path, most_bytes=_MOST_BYTES)
        return arrays["windows"], arrays["labels"]
    except OSError as err:
        raise ExamplesError(
            f"{path}: {err.strerror or err}", advice="name a .npz file with windows and labels"
        ) from err
    except (UnreadableError, KeyError) as err:
        raise ExamplesError(
            f"{path} is not a readable .npz file with windows and labels: {err}",
            advice="numpy.savez writes one",
        ) from err


def _check(
    path: Path,
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    shape: tuple[int, ...],
    classes: int,
) -> None:
    if windows.dtype != np.float32 or windows.ndim == 0 or windows.shape[1:] != shape:
        raise ExamplesError(
            f"{path} has windows {windows.dtype} {windows.shape}",
            advice="float32 (N, "
            f"{', '.join(map(str, shape))}) with N at least {FEWEST_EXAMPLES} is needed",
        )
    if len(windows) < FEWEST_EXAMPLES:
        raise ExamplesError(
            f"{path} has {len(windows)} examples",
            advice=f"at least {FEWEST_EXAMPLES} are needed to learn from",
        )
    if not np.isfinite(windows).all():
        raise ExamplesError(
            f"{path} has windows with values that are not finite", advice="leave them out"
        )
    if labels.dtype != np.int64 or labels.shape != (len(windows),):
        raise ExamplesError(
            f"{path} has labels {labels.dtype} {labels.shape}",
            advice=f"int64 ({len(windows)},) is needed",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ExamplesError(f"{path} has labels outside 0 to {classes - 1}")


def split(windows: NDArray[np.float32], labels: NDArray[np.int64]) -> LocalExamples:
    """Split labeled windows into a training part and a held-out part.

    The last fifth (rounded down) of every run of consecutive windows with the same label is held
    out. If all runs of a class are shorter than five windows, the last fifth of all windows of the
    class is held out instead. A training window right before a held-out window is discarded,
    because neighboring windows may overlap in time.

    Args:
        windows: the windows in the order of recording, float32 (N, *shape).
        labels: the classes of the windows, int64 (N,).
    """
    held_out = np.zeros(len(labels), np.bool_)
    for stretch in np.split(np.arange(len(labels)), np.flatnonzero(np.diff(labels)) + 1):
        held_out[_last_fifth(stretch)] = True
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        if not held_out[own].any():
            held_out[_last_fifth(own)] = True
    before = np.append(held_out[1:], False)
    trained = ~held_out & ~before
    return LocalExamples(
        inputs=windows[trained],
        labels=labels[trained],
        held_out_inputs=windows[held_out],
        held_out_labels=labels[held_out],
    )


def _last_fifth(indices: NDArray[np.intp]) -> NDArray[np.intp]:
    return indices[len(indices) - len(indices) // _HELD_OUT_PART :]
