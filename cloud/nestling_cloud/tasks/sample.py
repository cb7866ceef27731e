"""Takes a small sample of a task's data, which keeps classes and recordings in proportion."""

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks.examples import Examples, Splits

TRAIN = 2000
"""The most training inputs of a sample."""
CALIBRATION = 1500
"""About the most calibration inputs of a sample."""


def sample(splits: Splits) -> Splits:
    """Return the splits with at most about 2,000 training and 1,500 calibration inputs.

    Test recordings stay, because nothing is trained on them. Of each class, every n-th training
    input is taken, so that subjects and recordings stay in proportion, too. Of the calibration
    data, every n-th recording is taken whole; if there are fewer than two recordings, inputs are
    taken as in training.

    Args:
        splits: the task's data.
    """
    train, calibration = splits.train, splits.calibration
    return Splits(
        train=train.rows(spread(train.labels, TRAIN)) if len(train) > TRAIN else train,
        calibration=_recordings(calibration, CALIBRATION),
        test=splits.test,
    )


def spread(labels: NDArray[np.generic], most: int) -> NDArray[np.int64]:
    """Return the indices of about `most` inputs, in order: every n-th input of each class.

    Every class keeps at least one input. Labels that are not class indices count as one class.

    Args:
        labels: the label of each input; class indices are (N,) int64.
        most: about the largest number of indices.
    """
    classes = labels if labels.ndim == 1 and labels.dtype == np.int64 else np.zeros(len(labels))
    step = len(labels) / most
    parts = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    chosen = [part[np.arange(0, len(part), step).astype(np.int64)] for part in parts]
    return np.sort(np.concatenate(chosen)) if step > 1 else np.arange(len(labels))


def _recordings(examples: Examples, most: int) -> Examples:
    if len(examples) <= most:
        return examples
    if len(examples.lengths) < 2:
        chosen = spread(examples.labels, most)
        return examples.rows(chosen)
    ends = np.cumsum(examples.lengths)
    count = max(2, round(len(ends) * most / len(examples)))
    kept = np.unique(np.linspace(0, len(ends) - 1, count).astype(np.int64))
    starts = ends - np.asarray(examples.lengths)
    rows = np.concatenate([np.arange(starts[each], ends[each]) for each in kept])
    part = examples.rows(rows)
    return Examples(
        inputs=part.inputs,
        labels=part.labels,
        lengths=[examples.lengths[each] for each in kept],
    )
