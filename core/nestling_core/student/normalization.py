"""Implements the batch normalization of one capacity.

Each capacity has its own normalization, because the same weights produce activations with
different statistics at each width (slimmable networks, Yu et al. 2019). The gain is kept positive
so that it can be folded into a dequantization scale, and all capacities can share the same int8
weights.
"""

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-5
_MOMENTUM = 0.1


class CapacityNorm(nn.Module):
    """Batch normalization with a gain that is always positive."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int) -> None:
        """Create a normalization that is the identity for standardized inputs."""
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(channels))
        self.offset = nn.Parameter(torch.zeros(channels))
        self.momentum = _MOMENTUM
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input with each channel normalized, (N, C, ...) -> (N, C, ...).

        In training mode, the statistics are those of the batch, and the running statistics are
        updated. In evaluation mode, the running statistics are used.
        """
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
        """Return the gain and the offset of each channel in evaluation mode, (C,) each.

        The normalization of a channel x is then gain * x + offset. The gain is positive.
        """
        gain = self.log_gain.exp() / (self.running_var + EPSILON).sqrt()
        return gain, self.offset - self.running_mean * gain
