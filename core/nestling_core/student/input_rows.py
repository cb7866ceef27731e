"""Defines inputs that need not be in memory as a whole."""

from typing import Protocol

import torch


class InputRows(Protocol):
    """Many inputs (N, *shape), of which some are taken at a time, like a tensor."""

    def __len__(self) -> int:
        """Return the number of inputs."""
        ...

    def __getitem__(self, rows: slice, /) -> torch.Tensor:
        """Return some of the inputs, (n, *shape)."""
        ...
