"""Defines inputs that need not be in memory as a whole."""

from typing import Protocol

import torch


class InputRows(Protocol):
    """A sequence of inputs (N, *shape) that can be sliced like a tensor."""

    def __len__(self) -> int:
        """Return the number of inputs."""
        ...

    def __getitem__(self, rows: slice, /) -> torch.Tensor:
        """Return some of the inputs, (n, *shape)."""
        ...
