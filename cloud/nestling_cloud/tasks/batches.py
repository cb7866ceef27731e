"""Converts the batches of a data loader to a task's examples."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.task import TaskError


def examples_from(batches: Iterable[tuple[Any, Any]]) -> Examples:
    """Return the inputs and labels of all batches of a data loader.

    Args:
        batches: pairs `(inputs, labels)` of numpy arrays, torch tensors or lists, for example from
            a `torch.utils.data.DataLoader`. The number of batches must be finite.

    Returns:
        All inputs, (N, *shape), and their labels, (N, ...), in the loader's order.

    Raises:
        TaskError: there are no batches, a batch is not a pair with one label for each input, a
            value is not a number, the label of a class is not a whole number, or the inputs'
            shapes differ.
    """
    inputs, labels = [], []
    for number, batch in enumerate(batches, start=1):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise TaskError(f"batch {number} of the loader is not (inputs, labels)")
        try:
            inputs.append(np.asarray(batch[0], np.float32))
            labels.append(_labels(np.asarray(batch[1])))
        except (TypeError, ValueError, OverflowError) as err:
            raise TaskError(f"batch {number} of the loader does not hold numbers: {err}") from err
        if len(inputs[-1]) != len(labels[-1]):
            raise TaskError(
                f"batch {number} of the loader has {len(inputs[-1])} inputs and "
                f"{len(labels[-1])} labels"
            )
    if not inputs:
        raise TaskError("the loader yielded no batches; give it some examples")
    try:
        return Examples(inputs=np.concatenate(inputs), labels=np.concatenate(labels))
    except ValueError as err:
        raise TaskError(f"the loader's batches have different shapes: {err}") from err


def _labels(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.ndim > 1 and labels.dtype.kind in "bf":
        return labels if labels.dtype == np.bool_ else labels.astype(np.float32)
    whole = labels.astype(np.int64)
    if not np.array_equal(whole, labels):
        raise ValueError("a label must be the index of a class, a whole number")
    return whole.reshape(-1)
