"""Converts inputs to torch tensors, and reads inputs that are in a file only as they are used."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import nn

from nestling_cloud.tasks.inputs import BATCH_BYTES, Inputs, batches_of, rows_of
from nestling_cloud.tasks.stored_inputs import StoredInputs
from nestling_core.student.input_rows import InputRows
from nestling_core.student.normalizer import Normalizer

# Of a file, a normalization that wants all inputs at once gets as many as fit in this.
_MOST_BYTES = 32 * BATCH_BYTES


class InputTensors(InputRows, Protocol):
    """Many inputs (N, *shape), which return float32 tensors when they are indexed."""

    @property
    def shape(self) -> torch.Size:
        """The number of inputs, and the shape of an input."""
        ...

    def __getitem__(self, rows: slice | torch.Tensor, /) -> torch.Tensor:
        """Return the inputs of a slice, or those with the given indices, (n, *shape)."""
        ...


class StoredTensors:
    """The inputs of a file, which are read when they are indexed."""

    def __init__(self, inputs: StoredInputs) -> None:
        """Wrap the inputs of a file."""
        self._inputs = inputs

    @property
    def shape(self) -> torch.Size:
        """The number of inputs, and the shape of an input."""
        return torch.Size(self._inputs.shape)

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self._inputs)

    def __getitem__(self, rows: slice | torch.Tensor, /) -> torch.Tensor:
        """Return the inputs of a slice, or those with the given indices, (n, *shape)."""
        chosen = rows.numpy() if isinstance(rows, torch.Tensor) else rows
        return torch.from_numpy(self._inputs[chosen])


def tensors_of(inputs: Inputs) -> InputTensors:
    """Wrap inputs so that indexing them returns float32 tensors.

    An array becomes a tensor that shares the array's memory. Inputs in a file are read from it each
    time they are indexed.
    """
    if isinstance(inputs, StoredInputs):
        return StoredTensors(inputs)
    return torch.from_numpy(inputs)


def split(inputs: InputRows, size: int) -> Iterator[torch.Tensor]:
    """Yield all inputs in order, a batch of `size` at a time; the last may be smaller."""
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def fit_normalizer(normalizer: nn.Module, inputs: Inputs) -> None:
    """Fit a network's normalization to training inputs.

    Args:
        normalizer: the module, whose method `fit` takes an array (N, *shape). If the inputs are in
            a file, a module other than Nestling's `Normalizer` gets only as many evenly spaced
            inputs as fit in 512 MB.
        inputs: the training inputs, (N, *shape).
    """
    if not isinstance(inputs, StoredInputs):
        normalizer.fit(inputs)  # type: ignore[operator]  # every normalization has it
    elif isinstance(normalizer, Normalizer):
        normalizer.fit_batches(batches_of(inputs))
    else:
        row_bytes = 4 * torch.Size(inputs.shape[1:]).numel()
        step = -(-len(inputs) * row_bytes // _MOST_BYTES)
        normalizer.fit(rows_of(inputs, slice(None, None, max(1, step)))[:])  # type: ignore[operator]
