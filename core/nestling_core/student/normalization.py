"""Batch normalization of one capacity.

At another width the same weights see other statistics (slimmable networks, Yu et al. 2019), so
each capacity has its own normalization. The gain is kept positive: it then folds into a
dequantization scale, and the int8 weights stay shared.
"""

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-5
_MOMENTUM = 0.1


class CapacityNorm(nn.Module):
    """Batch normalization with a gain that is positive by construction."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int) -> None:
        """Start as the identity for standardized inputs."""
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(channels))
        self.offset = nn.Parameter(torch.zeros(channels))
        self.momentum = _MOMENTUM
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize each channel: (N, C, ...) -> (N, C, ...)."""
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.log_gain.exp(),
            self.offset,
            training=self.training,
            momentum=self.momentum,
            eps=EPSILON,
        )

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gain (positive) and offset, (C,) each, that evaluation mode amounts to."""
        gain = self.log_gain.exp() / (self.running_var + EPSILON).sqrt()
        return gain, self.offset - self.running_mean * gain
