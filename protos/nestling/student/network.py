"""The nested student: dense convolutions whose first channels are a smaller student.

One weight store for all capacities; each capacity has its own batch normalisation, because the
same weights see other statistics at another width (slimmable networks, Yu et al. 2019). The gain
of a normalisation is kept positive, so that it folds into a dequantisation scale and the int8
weights stay shared.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from nestling.student.normalizer import Normalizer
from nestling.v1.bundle_pb2 import NestedTensor, Prefix, Signature

_EPSILON = 1e-5
_MOMENTUM = 0.1


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Sizes of a nested student.

    Attributes:
        channels: of each layer at the largest capacity.
        kernel: length of every kernel, odd.
        strides: of each layer.
        fractions: share of the channels that each capacity takes, rising, the last 1.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: int = 3
    fractions: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)

    def __post_init__(self) -> None:
        """Refuse sizes that make no nest."""
        if len(self.channels) != len(self.strides) or not self.channels:
            raise ValueError("a student needs as many strides as channels, and at least one layer")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even: padding would shift the signal")
        rising = list(self.fractions) == sorted(set(self.fractions))
        if not rising or self.fractions[-1] != 1.0 or self.fractions[0] <= 0:
            raise ValueError(f"fractions {self.fractions} must rise within (0, 1] and end at 1")

    @property
    def capacities(self) -> int:
        """Number of nested sizes, K."""
        return len(self.fractions)

    def widths(self, capacity: int) -> tuple[int, ...]:
        """Channels of each layer at a capacity (1 to K)."""
        share = self.fractions[capacity - 1]
        return tuple(math.ceil(count * share) for count in self.channels)


class CapacityNorm(nn.Module):
    """Batch normalisation of one capacity, with a gain that is positive by construction."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int) -> None:
        """Start as the identity on standardised inputs."""
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(channels))
        self.offset = nn.Parameter(torch.zeros(channels))
        self.momentum = _MOMENTUM
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.log_gain.exp(),
            self.offset,
            training=self.training,
            momentum=self.momentum,
            eps=_EPSILON,
        )

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gain (positive) and offset that do the same in evaluation."""
        gain = self.log_gain.exp() / (self.running_var + _EPSILON).sqrt()
        return gain, self.offset - self.running_mean * gain


class NestedStudent(nn.Module):
    """K students in one: `forward(x, capacity)` runs a prefix of the weights."""

    def __init__(self, signature: Signature, config: StudentConfig) -> None:
        """Build it untrained, for windows (C, T) and pictures (C, H, W)."""
        super().__init__()
        channels, *axes = signature.shape
        self.config = config
        self.dims = len(axes)
        self.normalizer = Normalizer(channels, self.dims)
        sources = (channels, *config.channels[:-1])
        shape = (config.kernel,) * self.dims
        self.kernels = nn.ParameterList(
            nn.init.kaiming_normal_(torch.empty(out, source, *shape), nonlinearity="relu")
            for source, out in zip(sources, config.channels, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.ModuleList(CapacityNorm(width) for width in config.widths(capacity))
            for capacity in range(1, config.capacities + 1)
        )
        features, classes = config.channels[-1], len(signature.classes)
        self.head = nn.Parameter(torch.randn(classes, features) / math.sqrt(features))
        self.head_offsets = nn.Parameter(torch.zeros(config.capacities, classes))

    def norm(self, capacity: int, layer: int) -> CapacityNorm:
        """The normalisation of a layer (from 0) at a capacity (from 1)."""
        group = self.norms[capacity - 1]
        assert isinstance(group, nn.ModuleList)
        found = group[layer]
        assert isinstance(found, CapacityNorm)
        return found

    def convolve(self, x: torch.Tensor, layer: int, capacity: int) -> torch.Tensor:
        """One layer's convolution at a capacity, before its normalisation."""
        kernel = self.kernels[layer]
        assert isinstance(kernel, torch.Tensor)
        weight = kernel[: self.config.widths(capacity)[layer], : x.shape[1]]
        convolution = functional.conv1d if self.dims == 1 else functional.conv2d
        stride = self.config.strides[layer]
        return convolution(x, weight, None, stride, self.config.kernel // 2)

    def features(self, x: torch.Tensor, capacity: int) -> list[torch.Tensor]:
        """Output of every layer, then the pooled features (N, F)."""
        x = self.normalizer(x)
        outputs = []
        for layer in range(len(self.config.channels)):
            x = functional.relu(self.norm(capacity, layer)(self.convolve(x, layer, capacity)))
            outputs.append(x)
        return [*outputs, x.flatten(2).mean(2)]

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Logits (N, classes) of one capacity."""
        pooled = self.features(x, capacity)[-1]
        return pooled @ self.head[:, : pooled.shape[1]].T + self.head_offsets[capacity - 1]


def layout(signature: Signature, config: StudentConfig) -> list[NestedTensor]:
    """The nest of a student: one tensor a layer, then the head's."""
    classes = len(signature.classes)
    shape = (config.kernel,) * (len(signature.shape) - 1)
    capacities = range(1, config.capacities + 1)
    tensors = [
        NestedTensor(
            name=kernel_name(layer),
            prefixes=[
                Prefix(
                    shape=[
                        config.widths(k)[layer],
                        config.widths(k)[layer - 1] if layer else signature.shape[0],
                        *shape,
                    ]
                )
                for k in capacities
            ],
        )
        for layer in range(len(config.channels))
    ]
    head = NestedTensor(
        name=HEAD_NAME,
        prefixes=[Prefix(shape=[classes, config.widths(k)[-1]]) for k in capacities],
    )
    return [*tensors, head]


HEAD_NAME = "head.weight"


def kernel_name(layer: int) -> str:
    """Name of a layer's weight tensor, in the manifest and in the templates."""
    return f"layer{layer}.weight"
