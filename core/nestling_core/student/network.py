"""Implements the nested student as a torch network.

The first channels of every layer form a smaller student.
"""

import math

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_core.kinds.of_signature import kind_of
from nestling_core.kinds.regression import Regression
from nestling_core.student.config import StudentConfig
from nestling_core.student.layers import ConvLayer, Layer, Pool, make_layer
from nestling_core.student.normalization import CapacityNorm
from nestling_core.student.normalizer import Normalizer
from nestling_core.student.output_scale import OutputScale
from nestling_core.student.plan import HEAD_NAME, head_shape, plan


class NestedStudent(nn.Module):
    """K students in one network, in which the smaller ones use parts of the largest one's weights.

    `forward(x, capacity)` runs the student of a capacity (1 to K).

    Attributes:
        config: the student's sizes.
        normalizer: the module that normalizes each channel of the input, behind the front end if
            there is one.
        layers: the modules of the blocks, in order.
        pool: the module that computes the mean over all axes after the channels.
        head: the weight of the linear layer at the largest capacity, a nested tensor.
        head_offsets: the bias of the linear layer for each capacity, (K, outputs).
        output_scale: the module that scales the outputs to the units of the values, in a regression
            task; otherwise None.
        channels_last: whether to train in torch's memory format `channels_last`, which is faster.
    """

    channels_last = True

    def __init__(self, signature: Signature, config: StudentConfig) -> None:
        """Create an untrained student for windows (C, T), images (C, H, W) or sounds (1, T).

        Args:
            signature: the task's input shape and kind.
            config: the sizes of the student.

        Raises:
            KindError: the signature does not suit its kind.
            SizesError: the blocks do not fit each other, or do not fit the signature.
        """
        super().__init__()
        channels, *axes = config.read_shape(signature.shape)
        layers = plan(signature, config)
        self.config = config
        self.normalizer = Normalizer(channels, len(axes), config.front_end)
        self.layers = nn.ModuleList(make_layer(layer) for layer in layers)
        self.pool = Pool()
        self._last = layers[-1]
        kind = kind_of(signature)
        self._outputs = kind.student_outputs
        shape = head_shape(self._last, self._outputs, config.capacities)
        self.head = nn.Parameter(torch.randn(shape) / math.sqrt(math.prod(shape[1:])))
        self.head_offsets = nn.Parameter(torch.zeros(config.capacities, self._outputs))
        self.output_scale = OutputScale(self._outputs) if isinstance(kind, Regression) else None

    @property
    def stack(self) -> list[Layer]:
        """The layers of all blocks, in order."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    @property
    def convolutions(self) -> list[ConvLayer]:
        """The convolutional layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, ConvLayer)]

    def norms(self, capacity: int) -> list[CapacityNorm]:
        """Return the normalizations of a capacity (1 to K), one for each convolution, in order."""
        return [layer.norm(capacity) for layer in self.convolutions]

    def nested_weights(self) -> dict[str, nn.Parameter]:
        """Return all nested tensors at the largest capacity, keyed by their names in the layout."""
        weights = {
            layer.plan.tensor_name(name): weight
            for layer in self.stack
            for name, weight in layer.weights().items()
        }
        return {**weights, HEAD_NAME: self.head}

    def features(self, x: torch.Tensor, capacity: int) -> list[torch.Tensor]:
        """Return the outputs of the layers at one capacity.

        Args:
            x: the raw inputs, (N, *shape).
            capacity: the capacity to run, 1 to K.

        Returns:
            The output of every layer, then the pooled features (N, F).
        """
        x = self.normalizer(x)
        outputs = []
        for layer in self.stack:
            x = layer(x, capacity)
            outputs.append(x)
        return [*outputs, self.pool(x, capacity)]

    def classify(self, pooled: torch.Tensor, capacity: int) -> torch.Tensor:
        """Return the outputs for pooled features.

        Args:
            pooled: the features that `features` returns last, (N, F).
            capacity: the capacity that the features come from.

        Returns:
            The outputs, (N, O), float32, for example logits.
        """
        box = self.head[tuple(map(slice, head_shape(self._last, self._outputs, capacity)))]
        if box.ndim > 2:
            box = box.transpose(1, 2).flatten(1)
        # Losses need 32 bits even where the rest is computed in 16.
        outputs = (pooled @ box.T + self.head_offsets[capacity - 1]).float()
        return outputs if self.output_scale is None else self.output_scale(outputs)

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Return the outputs (N, O) of one capacity (1 to K) for inputs (N, *shape)."""
        return self.classify(self.features(x, capacity)[-1], capacity)
