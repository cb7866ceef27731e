"""The nested student: layers whose first channels are a smaller student."""

import math

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.config import StudentConfig
from nestling_core.student.layers import ConvLayer, Layer, Pool, make_layer
from nestling_core.student.normalization import CapacityNorm
from nestling_core.student.normalizer import Normalizer
from nestling_core.student.plan import HEAD_NAME, head_shape, plan


class NestedStudent(nn.Module):
    """K students in one: `forward(x, capacity)` runs a prefix of the weights."""

    channels_last = True  # so it is trained faster

    def __init__(self, signature: Signature, config: StudentConfig) -> None:
        """Build it untrained, for windows (C, T) and pictures (C, H, W).

        Raises:
            SizesError: the blocks do not follow each other, or not this signature.
        """
        super().__init__()
        channels, *axes = signature.shape
        layers = plan(signature, config)
        self.config = config
        self.normalizer = Normalizer(channels, len(axes))
        self.layers = nn.ModuleList(make_layer(layer) for layer in layers)
        self.pool = Pool()
        self._last = layers[-1]
        self._classes = len(signature.classes)
        shape = head_shape(self._last, self._classes, config.capacities)
        self.head = nn.Parameter(torch.randn(shape) / math.sqrt(math.prod(shape[1:])))
        self.head_offsets = nn.Parameter(torch.zeros(config.capacities, self._classes))

    @property
    def stack(self) -> list[Layer]:
        """The layers in order."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    @property
    def convolutions(self) -> list[ConvLayer]:
        """The convolutions in order."""
        return [layer for layer in self.layers if isinstance(layer, ConvLayer)]

    def norms(self, capacity: int) -> list[CapacityNorm]:
        """The normalisations of a capacity (from 1), in order."""
        return [layer.norm(capacity) for layer in self.convolutions]

    def nested_weights(self) -> dict[str, nn.Parameter]:
        """Every tensor of the nest at the largest capacity, by its name in the layout."""
        weights = {
            layer.plan.tensor_name(name): weight
            for layer in self.stack
            for name, weight in layer.weights().items()
        }
        return {**weights, HEAD_NAME: self.head}

    def features(self, x: torch.Tensor, capacity: int) -> list[torch.Tensor]:
        """Output of every layer, then the pooled features (N, F)."""
        x = self.normalizer(x)
        outputs = []
        for layer in self.stack:
            x = layer(x, capacity)
            outputs.append(x)
        return [*outputs, self.pool(x, capacity)]

    def classify(self, pooled: torch.Tensor, capacity: int) -> torch.Tensor:
        """Logits (N, classes) from pooled features."""
        box = self.head[tuple(map(slice, head_shape(self._last, self._classes, capacity)))]
        if box.ndim > 2:
            box = box.transpose(1, 2).flatten(1)
        # A loss wants 32 bits, also where the rest is computed in 16.
        return (pooled @ box.T + self.head_offsets[capacity - 1]).float()

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Logits (N, classes) of one capacity."""
        return self.classify(self.features(x, capacity)[-1], capacity)
