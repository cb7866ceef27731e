"""Adds labeled inputs of devices to the training data of a task.

They only become training inputs. Calibration and test need inputs as they come, and these were
selected, either for being hard or for an audit. Left out are inputs of the groups that the task
holds out, and inputs that equal a calibration or test input.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.inputs.input_folder import InputFolderError, LabeledFolder, read_folder
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.inputs import appended, batches_of
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.kind import Answers

# Two inputs are the same if their difference has at most this share of the held-out input's energy
# about the mean. On fashion and wearable, wire forms change at most 0.031 (JPEG at quality 75), and
# the nearest of 500 inputs to any of the test inputs is at 0.051.
_SAME = 0.04
_TOGETHER = 1024


@dataclass(frozen=True, kw_only=True)
class AddedFolder:
    """What a folder added to the training data.

    Attributes:
        folder: the folder.
        added: the number of inputs.
        devices: the number of their devices.
        unlabeled: the number of inputs without a label, which are left out.
        repeated: the number of inputs that this folder or one before has already, left out.
        held_out: the number of inputs left out because their device, or they themselves, are in the
            task's calibration or test data.
    """

    folder: Path
    added: int
    devices: int
    unlabeled: int
    repeated: int
    held_out: int

    def text(self) -> str:
        """Return what was added and what was left out, in one line."""
        left_out = (
            (self.unlabeled, "without a label"),
            (self.repeated, "repeated"),
            (self.held_out, "that are, or whose device is, in the calibration or test data"),
        )
        rest = ", ".join(f"{count} {why}" for count, why in left_out if count)
        added = f"{self.folder}: {self.added} inputs of {self.devices} devices are trained on"
        return f"{added}; left out: {rest}" if rest else added


def with_folders(
    task: Task, splits: Splits, folders: Sequence[Path]
) -> tuple[Splits, list[AddedFolder]]:
    """Return a task's data with the labeled inputs of folders among the training data.

    Args:
        task: the task.
        splits: the task's own data.
        folders: folders as `nestling-cloud inputs export` writes them.

    Raises:
        InputFolderError: a folder cannot be read, does not fit the task, or adds nothing.
    """
    added, seen = [], set[bytes]()
    for folder in folders:
        found = read_folder(folder, task.signature)
        fresh = np.array([_is_new(one, seen) for one in found.inputs], bool)
        held_out = fresh & _held_out(found, splits)
        use = fresh & ~held_out
        entry = AddedFolder(
            folder=folder,
            added=int(use.sum()),
            devices=len({group for group, used in zip(found.groups, use, strict=True) if used}),
            unlabeled=found.unlabeled,
            repeated=int((~fresh).sum()),
            held_out=int(held_out.sum()),
        )
        if not entry.added:
            raise InputFolderError(f"{entry.text()}; leave this folder out")
        added.append((entry, found.inputs[use], found.labels[use]))
    train = splits.train
    for _, inputs, labels in added:
        train = _extended(train, inputs, labels)
    return replace(splits, train=train), [entry for entry, _, _ in added]


def _is_new(values: NDArray[np.float32], seen: set[bytes]) -> bool:
    content = values.tobytes()
    if content in seen:
        return False
    seen.add(content)
    return True


def _held_out(found: LabeledFolder, splits: Splits) -> NDArray[np.bool_]:
    """Return which inputs may not be trained on, (N,)."""
    of_groups = np.array([group in splits.held_out for group in found.groups], bool)
    if not len(found.inputs):
        return of_groups
    rows = found.inputs.reshape(len(found.inputs), -1).astype(np.float64)
    mean, same = _mean(splits), np.zeros(len(rows), bool)
    for held in _held(splits):
        same |= _any_same(rows - mean, held - mean)
    return of_groups | same


def _held(splits: Splits) -> Iterator[NDArray[np.float64]]:
    """Yield the calibration and test inputs as rows of values, a batch at a time."""
    for examples in (splits.calibration, *splits.test):
        for batch in batches_of(examples.inputs):
            yield batch.reshape(len(batch), -1).astype(np.float64)


def _mean(splits: Splits) -> NDArray[np.float64]:
    """Return the mean of the calibration and test inputs."""
    total, count = np.zeros(math.prod(splits.calibration.inputs.shape[1:])), 0
    for held in _held(splits):
        total += held.sum(0)
        count += len(held)
    return total / count


def _any_same(rows: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows are nearly the same as any of the held-out ones, (N,)."""
    same = np.zeros(len(rows), bool)
    energies = (rows**2).sum(1)[:, None]  # (N, 1)
    for first in range(0, len(held), _TOGETHER):
        some = held[first : first + _TOGETHER]
        own = (some**2).sum(1)  # (M,)
        distances = energies + own - 2 * rows @ some.T  # (N, M)
        same |= (distances <= _SAME * own).any(1)
    return same


def _extended(train: Examples, inputs: NDArray[np.float32], labels: Answers) -> Examples:
    # The inputs of a device are not consecutive ones: each is a recording of its own.
    lengths = [*train.lengths, *[1] * len(labels)] if train.lengths else ()
    return Examples(
        inputs=appended(train.inputs, inputs),
        labels=np.concatenate([train.labels, labels]),
        lengths=lengths,
    )
