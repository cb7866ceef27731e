"""Static int8, once for all capacities.

A weight's integers come from the largest capacity's tensor: one symmetric scale for each output
channel. Smaller capacities take prefix slices of the same integers. What differs between
capacities (batch normalisation, gate gains, activation ranges) folds into scales and biases, which
are small and live in each capacity's template.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.quantization.grid import ActivationRange, Floats
from nestling_core.student.plan import LayerPlan


@dataclass(frozen=True, kw_only=True)
class QuantizedConv:
    """One convolution of one capacity, its normalisation folded in.

    Attributes:
        weight_scale: for each output channel in order, normalisation gain included, (C_out,).
        bias: in real units, (C_out,).
        output: range of the activations after the rectifier.
    """

    weight_scale: Floats
    bias: Floats
    output: ActivationRange


@dataclass(frozen=True, kw_only=True)
class QuantizedRecurrent:
    """One recurrent layer of one capacity, gate after gate in torch's order, (Q H,) each.

    Its weights are stored in 8 bits and computed with in 32: onnxruntime has no integer GRU.

    Attributes:
        scale_ih: of the rows that see the input, gains included.
        scale_hh: of the rows that see the state.
        bias_ih: in real units.
        bias_hh: likewise.
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
    """What a capacity has besides its prefix of the integers.

    Attributes:
        input: range of the normalised input.
        layers: in order; None for a layer that has no numbers.
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
    """An int8 nest and what each capacity adds to it.

    Attributes:
        plans: the layers' shapes.
        tensors: the largest capacity's int8 weights by name.
        capacities: smallest first.
        mean: of the input normalisation, one a channel.
        deviation: likewise.
    """

    plans: tuple[LayerPlan, ...]
    tensors: Mapping[str, NDArray[np.int8]]
    capacities: tuple[QuantizedCapacity, ...]
    mean: Floats
    deviation: Floats
