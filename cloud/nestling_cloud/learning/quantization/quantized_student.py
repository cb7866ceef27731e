"""Holds the numbers of a student that is quantized to int8 once for all capacities (sizes).

The integers of a weight come from the largest capacity's tensor, with one symmetric scale for each
row. Smaller capacities use prefix slices of the same integers. The numbers that differ between
capacities (batch normalization, gate gains, activation ranges) become scales and biases, which are
small and part of each capacity's template (its ONNX graph).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.quantization.grid import ActivationRange, Floats
from nestling_core.student.plan import LayerPlan


@dataclass(frozen=True, kw_only=True)
class QuantizedConv:
    """The scales, biases and output range of one convolution at one capacity.

    Attributes:
        weight_scale: the scale of each output channel, which includes the gain of the
            normalization, (C_out,).
        bias: the bias of each output channel as a real number, (C_out,).
        output: the 8-bit grid of the activations after the ReLU.
    """

    weight_scale: Floats
    bias: Floats
    output: ActivationRange


@dataclass(frozen=True, kw_only=True)
class QuantizedRecurrent:
    """The scales, biases and output range of one recurrent layer at one capacity.

    Each array has shape (Q H,), with the gates one after the other in torch's order. The weights
    are stored in 8 bits but used in 32 bits, because onnxruntime has no integer GRU.

    Attributes:
        scale_ih: the scale of each row that reads the input, which includes the row's gain.
        scale_hh: the scale of each row that reads the state, which includes the row's gain.
        bias_ih: the biases that belong to the input, as real numbers.
        bias_hh: the biases that belong to the state, as real numbers.
        output: the 8-bit grid of the hidden state.
    """

    scale_ih: Floats
    scale_hh: Floats
    bias_ih: Floats
    bias_hh: Floats
    output: ActivationRange


QuantizedLayer = QuantizedConv | QuantizedRecurrent | None


@dataclass(frozen=True, kw_only=True)
class QuantizedCapacity:
    """The numbers of one capacity (size of the student) other than its int8 weights.

    Attributes:
        input: the 8-bit grid of the normalized input.
        layers: the numbers of each layer, in order; None for a layer without numbers.
        pooled: the 8-bit grid of the pooled features.
        head_scale: the scale of the last layer's weights for each class, (classes,).
        head_bias: the bias of each class as a real number, (classes,).
    """

    input: ActivationRange
    layers: tuple[QuantizedLayer, ...]
    pooled: ActivationRange
    head_scale: Floats
    head_bias: Floats


@dataclass(frozen=True, kw_only=True)
class QuantizedStudent:
    """The int8 weights of a student, with the scales and biases of each capacity (size).

    Attributes:
        plans: the blocks and shapes of the layers, in order.
        tensors: the int8 weights of the largest capacity by name.
        capacities: the other numbers of each capacity, the smallest capacity first.
        mean: the mean of each input channel, which normalization subtracts, (C,).
        deviation: the standard deviation of each input channel, by which normalization divides,
            (C,).
    """

    plans: tuple[LayerPlan, ...]
    tensors: Mapping[str, NDArray[np.int8]]
    capacities: tuple[QuantizedCapacity, ...]
    mean: Floats
    deviation: Floats
