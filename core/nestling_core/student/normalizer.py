"""Normalizes each channel of the input inside the network, which can then accept raw inputs."""

from collections.abc import Iterable

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
        self._set(inputs.mean(axes, dtype=np.float64), inputs.std(axes, dtype=np.float64))

    def fit_batches(self, batches: Iterable[NDArray[np.float32]]) -> None:
        """Set the mean and standard deviation to those of inputs that come in batches.

        The result may differ from that of `fit` in the last bits, because sums are made in another
        order (Chan et al. 1979).

        Args:
            batches: at least one input in total, in batches (N, C, ...).
        """
        count, mean, squares = 0, np.zeros(1), np.zeros(1)
        for batch in batches:
            axes = (0, *range(2, batch.ndim))
            added = batch.size // batch.shape[1]
            found = batch.mean(axes, dtype=np.float64)
            apart = found - mean
            squares = (
                squares
                + added * batch.var(axes, dtype=np.float64)
                + apart**2 * (count * added / (count + added))
            )
            mean = mean + apart * (added / (count + added))
            count += added
        self._set(mean, np.sqrt(squares / count))

    def _set(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> None:
        self.mean.copy_(torch.from_numpy(mean.reshape(self.mean.shape)))
        # A constant channel becomes zero instead of dividing by zero.
        floored = np.maximum(deviation.reshape(self.mean.shape), 1e-6)
        self.deviation.copy_(torch.from_numpy(floored))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input with each channel normalized, (N, C, ...) -> (N, C, ...)."""
        return (x - self.mean) / self.deviation
