"""Normalizes each channel of the input inside the network, which can then accept raw inputs."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling_core.student.front_end import LogMelLayer, features_of
from nestling_core.student.log_mel import LogMel


class Normalizer(nn.Module):
    """A layer that subtracts the mean of each channel and divides by the standard deviation.

    Until `fit` or `fit_batches` sets both, the layer does not normalize. With a front end, it first
    computes features of its input, and then normalizes each channel of the features.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, channels: int, dims: int, front_end: LogMel | None = None) -> None:
        """Create a layer that normalizes nothing until `fit` or `fit_batches` is called.

        Args:
            channels: the number of channels of the inputs, or of their features.
            dims: the number of axes after the channels.
            front_end: the sizes of the front end, which computes features of an input; None to
                normalize the input itself.
        """
        super().__init__()
        self.front_end = LogMelLayer(front_end) if front_end else None
        shape = (1, channels, *(1,) * dims)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    def fit(self, inputs: NDArray[np.float32]) -> None:
        """Set the mean and standard deviation to those of training inputs, (N, *shape).

        A standard deviation below 1e-6 is replaced by 1e-6.
        """
        inputs = self._read(inputs)
        axes = (0, *range(2, inputs.ndim))
        self._set(inputs.mean(axes, dtype=np.float64), inputs.std(axes, dtype=np.float64))

    def fit_batches(self, batches: Iterable[NDArray[np.float32]]) -> None:
        """Set the mean and standard deviation to those of inputs that come in batches.

        The result may differ from that of `fit` in the last bits, because sums are made in another
        order (Chan et al. 1979). A standard deviation below 1e-6 is replaced by 1e-6.

        Args:
            batches: at least one input in total, in batches (N, *shape).
        """
        count, mean, squares = 0, np.zeros(1), np.zeros(1)
        for batch in map(self._read, batches):
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

    def _read(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inputs, or their features if there is a front end."""
        if self.front_end is None:
            return inputs
        found: NDArray[np.float32] = features_of(
            self.front_end.sizes, torch.from_numpy(inputs)
        ).numpy()
        return found

    def _set(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> None:
        self.mean.copy_(torch.from_numpy(mean.reshape(self.mean.shape)))
        # A constant channel becomes zero instead of dividing by zero.
        floored = np.maximum(deviation.reshape(self.mean.shape), 1e-6)
        self.deviation.copy_(torch.from_numpy(floored))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input, or its features, with each channel normalized, (N, C, ...)."""
        if self.front_end is not None:
            x = self.front_end(x)
        return (x - self.mean) / self.deviation
