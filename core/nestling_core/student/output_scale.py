"""Scales the outputs of a regression network, which can then learn values of any size."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

# A quantity that never changes has no spread to divide by.
_SMALLEST_SPREAD = 1e-6


class OutputScale(nn.Module):
    """A layer that multiplies each output by a spread and adds a center.

    The layer is the identity until `fit` sets both.
    """

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, outputs: int) -> None:
        """Create a layer that returns its input unchanged until `fit` is called.

        Args:
            outputs: the number of outputs, O.
        """
        super().__init__()
        self.register_buffer("center", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))

    def fit(self, values: NDArray[np.float32]) -> None:
        """Set center and spread of the first D outputs to the mean and deviation of true values.

        A standard deviation below 1e-6 is replaced by 1e-6. The other outputs are not scaled.

        Args:
            values: the true values of training inputs, (N, D), where D is at most O.
        """
        count = values.shape[1]
        center, spread = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
        self.center[:count] = torch.from_numpy(center)
        self.spread[:count] = torch.from_numpy(np.maximum(spread, _SMALLEST_SPREAD))

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, O) in the units of the values."""
        return outputs * self.spread + self.center
