"""Normalizes each channel of the input inside the network, which can then accept raw inputs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class Normalizer(nn.Module):
    """A layer that subtracts the mean of each channel and divides by the standard deviation.

    The layer is the identity until `fit` sets both.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, channels: int, dims: int) -> None:
        """Create a layer that returns its input unchanged until `fit` is called.

        Args:
            channels: the number of channels of the inputs.
            dims: the number of axes after the channels.
        """
        super().__init__()
        shape = (1, channels, *(1,) * dims)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    def fit(self, inputs: NDArray[np.float32]) -> None:
        """Set the mean and standard deviation to those of training inputs, (N, C, ...).

        A standard deviation below 1e-6 is replaced by 1e-6.
        """
        axes = (0, *range(2, inputs.ndim))
        mean = inputs.mean(axes, dtype=np.float64).reshape(self.mean.shape)
        deviation = inputs.std(axes, dtype=np.float64).reshape(self.mean.shape)
        self.mean.copy_(torch.from_numpy(mean))
        # A constant channel becomes zero instead of dividing by zero.
        self.deviation.copy_(torch.from_numpy(np.maximum(deviation, 1e-6)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input with each channel normalized, (N, C, ...) -> (N, C, ...)."""
        return (x - self.mean) / self.deviation
