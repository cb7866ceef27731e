"""Defines a teacher for color pictures, a short residual network that trains quickly.

Its parts come from networks that were made to learn CIFAR-10 with as little computation as
possible: the fixed first layer that whitens patches, pooling right after the first convolution of
each stage, kernels that begin as identities, and a scaled last layer (Jordan 2024, arXiv
2404.00498; Page 2018).
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.output_layer import OutputLayer
from nestling_cloud.models.picture_teacher import convolution
from nestling_core.student.normalizer import Normalizer

_PATCH = 2
# Keeps directions without variance from being amplified without limit.
_FLOOR = 5e-4
# Pictures from which the whitening is measured.
MEASURED = 5000
_FACTOR = 1 / 9


class Whitening(nn.Module):
    """A fixed convolution that decorrelates the values of small patches.

    Each direction has two output channels, of opposite sign.
    """

    def __init__(self, channels: int) -> None:
        """Create a layer that returns zeros until `fit` is called.

        Args:
            channels: the number of channels of the pictures.
        """
        super().__init__()
        self.outputs = 2 * channels * _PATCH**2
        self.kernels = nn.Buffer(torch.zeros(self.outputs, channels, _PATCH, _PATCH))

    def fit(self, pictures: torch.Tensor) -> None:
        """Set the kernels from the covariance of patches.

        Args:
            pictures: normalized pictures, (N, C, H, W).
        """
        channels = pictures.shape[1]
        patches = functional.unfold(pictures, _PATCH).transpose(1, 2).flatten(0, 1).double()
        patches = patches - patches.mean(0)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        kernels = (directions / torch.sqrt(variances.clamp_min(0) + _FLOOR)).T
        shaped = kernels.reshape(-1, channels, _PATCH, _PATCH).float()
        self.kernels.copy_(torch.cat([shaped, -shaped]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the positive parts of whitened patches, (N, C, H, W) -> (N, 8 C, H - 1, W - 1)."""
        return functional.relu(functional.conv2d(x, self.kernels))


class _Stage(nn.Module):
    """A convolution that halves both axes, followed by others whose output is added to its own."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.norm = nn.BatchNorm2d(outputs)
        self.residual = depth > 1
        self.body = nn.Sequential(*(convolution(outputs, outputs) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.pool(self.first(x))))
        found: torch.Tensor = x + self.body(x) if self.residual else self.body(x)
        return found


class TinyResNet(nn.Module):
    """Answers pictures (N, C, H, W) of 16 x 16 points and more with outputs (N, O).

    Args:
        signature: the input shape and the kind of the task.
        widths: the number of channels of each stage. Every stage halves the resolution.
        depths: the number of convolutions of each stage after its first one.
    """

    channels_last = True  # this memory format trains faster

    def __init__(
        self,
        signature: Signature,
        widths: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (1, 2, 2),
    ) -> None:
        """Build an untrained network."""
        super().__init__()
        channels = signature.shape[0]
        self.normalizer = Normalizer(channels, 2)
        self.whitening = Whitening(channels)
        stages = itertools.pairwise([self.whitening.outputs, *widths])
        self.body = nn.Sequential(
            *(_Stage(*pair, depth) for pair, depth in zip(stages, depths, strict=True))
        )
        self.head = OutputLayer(widths[-1], signature, factor=_FACTOR)
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                first = min(module.in_channels, module.out_channels)
                nn.init.dirac_(module.weight.data[:first])

    @torch.no_grad()
    def fit(self, inputs: NDArray[np.float32]) -> None:
        """Measure the whitening of some training inputs, (N, C, H, W), after the normalization."""
        self.whitening.fit(self.normalizer(torch.from_numpy(inputs[:MEASURED])))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, O) for pictures (N, C, H, W)."""
        features = self.body(self.whitening(self.normalizer(x))).amax((2, 3))
        outputs: torch.Tensor = self.head(features)
        return outputs
