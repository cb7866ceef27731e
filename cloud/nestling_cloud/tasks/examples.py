"""Defines the examples that a task returns, in its three parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestling_cloud.tasks.inputs import Inputs, joined, rows_of
from nestling_cloud.tasks.stored_inputs import Rows
from nestling_core.kinds.kind import Answers


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and their labels, in the order of recording.

    Attributes:
        inputs: the inputs in the signature's units, float32, (N, *signature.shape). They are an
            array, or `StoredInputs` if they may not fit in memory.
        labels: the true answer to each input:

            - in a single-label task, the index of the class, int64 (N,);
            - in a multi-label task, whether the input has each class, bool (N, C);
            - in a regression task, the values in their units, float32 (N, D);
            - in an anomaly task, 0 if the input is normal and 1 if not, int64 (N,). A teacher
              learns only from the normal ones.
        lengths: the number of inputs in each recording, in order. Within a recording, an input
            follows the one before it as in the stream of a device. It is empty if the inputs are
            independent of one another. `concatenate` sets it.
    """

    inputs: Inputs
    labels: Answers
    lengths: Sequence[int] = ()

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.labels)

    def rows(self, rows: Rows) -> "Examples":
        """Return some of the examples as independent ones, without reading inputs from a file.

        Args:
            rows: a slice, indices, or a mask with one value for each example.
        """
        return Examples(inputs=rows_of(self.inputs, rows), labels=self.labels[rows])


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Return several recordings as one set of examples that knows where each recording ends.

    Args:
        parts: the recordings in order. A part that was itself concatenated keeps its recordings.
            Stored inputs must be parts of one file.

    Raises:
        StoredInputsError: some inputs are in a file, but not all of them in the same one.
    """
    return Examples(
        inputs=joined([part.inputs for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        lengths=[length for part in parts for length in part.lengths or [len(part)]],
    )


@dataclass(frozen=True, kw_only=True)
class Splits:
    """A task's data in three parts that share no subject.

    Attributes:
        train: the examples that the teacher and the student are trained on.
        calibration: examples that neither the teacher nor the student has seen. The multiplexer is
            fitted on the first 60%, and thresholds come from the rest. Keep the
            inputs of a subject together, so that the two parts share at most one subject. If they
            are recordings, joined by `concatenate`, the device's stream filter is learned from
            them; their inputs must then be as far apart as those of a device's stream.
        test: whole recordings, which a simulation assigns to devices as streams. Do not use
            these recordings to choose any option.
        held_out: the names of the groups (devices, subjects) whose inputs are in calibration or
            test, where the data has names. No later input of such a group is trained on.
    """

    train: Examples
    calibration: Examples
    test: Sequence[Examples]
    held_out: frozenset[str] = frozenset()
