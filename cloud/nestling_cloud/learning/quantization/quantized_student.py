"""Hold a student in static int8, quantized once for all capacities.

The integers of a weight come from the largest capacity's tensor, with one symmetric scale for each
output channel. Smaller capacities use prefix slices of the same integers. What differs between
capacities (batch normalization, gate gains, activation ranges) is folded into scales and biases,
which are small and part of each capacity's template.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.quantization.grid import ActivationRange, Floats
from nestling_core.student.plan import LayerPlan


@dataclass(frozen=True, kw_only=True)
class QuantizedConv:
    """One convolution of one capacity, its normalization folded in.

    Attributes:
        weight_scale: scale of each output channel, normalization gain included, (C_out,).
        bias: in real units, (C_out,).
        output: range of the activations after the ReLU.
    """

    weight_scale: Floats
    bias: Floats
    output: ActivationRange


@dataclass(frozen=True, kw_only=True)
class QuantizedRecurrent:
    """One recurrent layer of one capacity, gates concatenated in torch's order, (Q H,) each.

    Its weights are stored in 8 bits but used in 32, because onnxruntime has no integer GRU.

    Attributes:
        scale_ih: scale of the rows that read the input, gains included.
        scale_hh: scale of the rows that read the state, gains included.
        bias_ih: in real units.
        bias_hh: in real units.
        output: range of the hidden state.
    """

    scale_ih: Floats
    scale_hh: Floats
    bias_ih: Floats
    bias_hh: Floats
    output: ActivationRange


QuantizedLayer = QuantizedConv | QuantizedRecurrent | None


@dataclass(frozen=True, kw_only=True)
class QuantizedCapacity:
    """The numbers of a capacity besides its prefix of the integers.

    Attributes:
        input: range of the normalized input.
        layers: in order; None for a layer without numbers.
        pooled: range of the pooled features.
        head_scale: for each class, (classes,).
        head_bias: in real units, (classes,).
    """

    input: ActivationRange
    layers: tuple[QuantizedLayer, ...]
    pooled: ActivationRange
    head_scale: Floats
    head_bias: Floats


@dataclass(frozen=True, kw_only=True)
class QuantizedStudent:
    """An int8 nest with the scales and biases of each capacity.

    Attributes:
        plans: shapes of the layers.
        tensors: the largest capacity's int8 weights by name.
        capacities: smallest first.
        mean: of the input normalization, (C,).
        deviation: of the input normalization, (C,).
    """

    plans: tuple[LayerPlan, ...]
    tensors: Mapping[str, NDArray[np.int8]]
    capacities: tuple[QuantizedCapacity, ...]
    mean: Floats
    deviation: Floats
