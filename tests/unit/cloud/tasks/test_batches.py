from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nestling_cloud.tasks import TaskError, examples_from


def test_data_loader_of_tensors_becomes_examples_in_order() -> None:
    inputs, labels = torch.arange(14.0).reshape(7, 2), torch.arange(7) % 3

    found = examples_from(DataLoader(TensorDataset(inputs, labels), batch_size=3))

    assert np.array_equal(found.inputs, inputs.numpy())
    assert np.array_equal(found.labels, labels.numpy())
    assert found.inputs.dtype == np.float32
    assert found.labels.dtype == np.int64


def test_lists_arrays_and_columns_of_labels_are_accepted() -> None:
    def batches() -> Iterator[tuple[Any, Any]]:
        yield [[1, 2], [3, 4]], [0, 1]
        yield np.array([[5, 6]], np.float64), np.array([[2]], np.uint8)

    found = examples_from(batches())

    assert found.inputs[:].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert found.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "no batches"),
        ([([[1.0]], [0, 1])], "batch 1 .* has 1 inputs and 2 labels"),
        ([([[1.0]], [0]), ([[1.0, 2.0]], [0])], "different shapes"),
        ([([[1.0]], [0]), 7], "batch 2 .* is not"),
        ([([["a"]], [0])], "batch 1 .* does not hold numbers"),
        ([([[1.0]], [None])], "batch 1 .* does not hold numbers"),
        ([([[1.0]], [0.7])], "batch 1 .* a whole number"),
    ],
)
def test_invalid_batches_are_refused(batches: list[Any], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        examples_from(batches)
