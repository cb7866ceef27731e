"""Static int8, once for all capacities.

A weight's integers come from the largest capacity's tensor: one symmetric scale for each output
channel. Smaller capacities take prefix slices of the same integers. What differs between
capacities (batch normalisation, gate gains, activation ranges) folds into scales and biases, which
are small and live in each capacity's template.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.student.layers import ConvLayer, Layer, RecurrentLayer
from nestling.student.network import NestedStudent
from nestling.student.plan import HEAD_NAME, LayerPlan
from nestling.student.sandwich import recalibrate
from nestling_cloud.quantization.grid import (
    ActivationRange,
    activation_range,
    quantize_weight,
    spread,
)

# Inputs that the ranges are taken from; more change them little and cost memory.
_RANGE_INPUTS = 2048

Floats = NDArray[np.float32]


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


def quantize(student: NestedStudent, inputs: Floats) -> QuantizedStudent:
    """Quantise a trained nest.

    The student's own weights are rounded in place: normalisation is calibrated again and the
    activation ranges are taken with the weights that the device will run.

    Args:
        student: trained; its weights are replaced by their rounded values.
        inputs: training inputs (N, *shape) for the statistics.
    """
    tensors: dict[str, NDArray[np.int8]] = {}
    scales: dict[str, Floats] = {}
    rows = scaled_axes(student)
    for name, weight in student.nested_weights().items():
        tensors[name], scales[name] = quantize_weight(weight.detach().numpy(), rows[name])
        weight.data.copy_(torch.from_numpy(tensors[name] * spread(scales[name], weight.ndim)))
    recalibrate(student, torch.from_numpy(inputs))
    sample = torch.from_numpy(inputs[:: math.ceil(len(inputs) / _RANGE_INPUTS)])
    return QuantizedStudent(
        plans=tuple(layer.plan for layer in student.stack),
        tensors=tensors,
        capacities=tuple(
            _quantize_capacity(student, capacity, scales, sample)
            for capacity in range(1, student.config.capacities + 1)
        ),
        mean=student.normalizer.mean.flatten().numpy().copy(),
        deviation=student.normalizer.deviation.flatten().numpy().copy(),
    )


def scaled_axes(student: NestedStudent) -> dict[str, int]:
    """How many first axes of each tensor of the nest have scales of their own."""
    found = {
        layer.plan.tensor_name(name): 2
        if isinstance(layer, RecurrentLayer) or layer.plan.groups > 1
        else 1
        for layer in student.stack
        for name in layer.weights()
    }
    return {**found, HEAD_NAME: 1}


@torch.no_grad()
def _quantize_capacity(
    student: NestedStudent,
    capacity: int,
    scales: Mapping[str, Floats],
    inputs: torch.Tensor,
) -> QuantizedCapacity:
    *outputs, pooled = student.features(inputs, capacity)
    return QuantizedCapacity(
        input=activation_range(student.normalizer(inputs).numpy()),
        layers=tuple(
            _quantize_layer(layer, capacity, scales, activation_range(output.numpy()))
            for layer, output in zip(student.stack, outputs, strict=True)
        ),
        pooled=activation_range(pooled.numpy()),
        head_scale=scales[HEAD_NAME],
        head_bias=student.head_offsets[capacity - 1].numpy().copy(),
    )


def _quantize_layer(
    layer: Layer, capacity: int, scales: Mapping[str, Floats], output: ActivationRange
) -> QuantizedLayer:
    width = layer.plan.widths[capacity - 1]
    of_rows = {name: scales[layer.plan.tensor_name(name)][:width] for name in layer.weights()}
    if isinstance(layer, ConvLayer):
        gain, offset = layer.norm(capacity).folded()
        return QuantizedConv(
            weight_scale=in_order(of_rows["weight"]) * gain.numpy(),
            bias=offset.numpy().copy(),
            output=output,
        )
    if isinstance(layer, RecurrentLayer):
        arrays = layer.capacities[capacity - 1].state_dict()
        own = {name: array.numpy() for name, array in arrays.items()}
        return QuantizedRecurrent(
            scale_ih=in_order(of_rows["weight_ih"] * np.exp(own["log_gain_ih"])),
            scale_hh=in_order(of_rows["weight_hh"] * np.exp(own["log_gain_hh"])),
            bias_ih=in_order(own["bias_ih"]),
            bias_hh=in_order(own["bias_hh"]),
            output=output,
        )
    return None


def in_order(rows: Floats) -> Floats:
    """Numbers of a stored tensor's rows, (W,) or (W, G), as channels lie: group after group."""
    return np.ascontiguousarray(rows.T).flatten()
