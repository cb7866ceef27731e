"""Static int8, once for all capacities.

A weight's integers come from the largest capacity's tensor: one symmetric scale for each output
channel. Smaller capacities take prefix slices of the same integers. What differs between
capacities (batch normalisation, activation ranges) folds into scales and biases, which are small
and live in each capacity's template.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.student.network import HEAD_NAME, NestedStudent, kernel_name
from nestling.student.sandwich import recalibrate

# Share of activations that an 8-bit range clips at each end.
_CLIPPED = 1e-4
_SMALLEST_PEAK = 1e-30
# Inputs that the ranges are taken from; more change them little and cost memory.
_RANGE_INPUTS = 2048


@dataclass(frozen=True, kw_only=True)
class ActivationRange:
    """An unsigned 8-bit grid: real = scale * (integer - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class QuantizedLayer:
    """One convolution of one capacity, its normalisation folded in.

    Attributes:
        weight_scale: for each output channel, normalisation gain included, (C_out,).
        bias: in real units, (C_out,).
        output: range of the activations after the rectifier.
        stride: of the convolution.
    """

    weight_scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    output: ActivationRange
    stride: int


@dataclass(frozen=True, kw_only=True)
class QuantizedCapacity:
    """What a capacity has besides its prefix of the integers.

    Attributes:
        input: range of the normalised input.
        layers: the convolutions in order.
        pooled: range of the pooled features.
        head_scale: for each class, (classes,).
        head_bias: in real units, (classes,).
    """

    input: ActivationRange
    layers: tuple[QuantizedLayer, ...]
    pooled: ActivationRange
    head_scale: NDArray[np.float32]
    head_bias: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class QuantizedStudent:
    """An int8 nest and what each capacity adds to it.

    Attributes:
        tensors: the largest capacity's int8 weights by name.
        capacities: smallest first.
        mean: of the input normalisation, one a channel.
        deviation: likewise.
    """

    tensors: Mapping[str, NDArray[np.int8]]
    capacities: tuple[QuantizedCapacity, ...]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


def quantize_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round to 8 bits, symmetric, one scale for each slice of the first axis.

    Returns:
        Integers of the same shape in [-127, 127], and the scales (first axis,).
    """
    peak = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    # A channel of next to nothing would get the scale zero.
    scale = np.where(peak > _SMALLEST_PEAK, peak / 127, 1.0).astype(np.float32)
    spread = scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return np.clip(np.rint(weight / spread), -127, 127).astype(np.int8), scale


def activation_range(values: NDArray[np.float32]) -> ActivationRange:
    """8-bit grid that covers all but the outermost values, and zero exactly."""
    low, high = np.quantile(values, (_CLIPPED, 1 - _CLIPPED))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = (high - low) / 255 if high - low > _SMALLEST_PEAK else 1.0
    return ActivationRange(scale=scale, zero_point=round(-low / scale))


def quantize(student: NestedStudent, inputs: NDArray[np.float32]) -> QuantizedStudent:
    """Quantise a trained nest.

    The student's own weights are rounded in place: normalisation is calibrated again and the
    activation ranges are taken with the weights that the device will run.

    Args:
        student: trained; its weights are replaced by their rounded values.
        inputs: training inputs (N, *shape) for the statistics.
    """
    tensors: dict[str, NDArray[np.int8]] = {}
    scales: dict[str, NDArray[np.float32]] = {}
    names = [kernel_name(layer) for layer in range(len(student.kernels))]
    weights = [*student.kernels, student.head]
    for name, weight in zip([*names, HEAD_NAME], weights, strict=True):
        tensors[name], scales[name] = quantize_weight(weight.detach().numpy())
        spread = scales[name].reshape(-1, *(1,) * (weight.ndim - 1))
        weight.data.copy_(torch.from_numpy(tensors[name] * spread))
    recalibrate(student, torch.from_numpy(inputs))
    sample = torch.from_numpy(inputs[:: math.ceil(len(inputs) / _RANGE_INPUTS)])
    return QuantizedStudent(
        tensors=tensors,
        capacities=tuple(
            _quantize_capacity(student, capacity, scales, sample)
            for capacity in range(1, student.config.capacities + 1)
        ),
        mean=student.normalizer.mean.flatten().numpy().copy(),
        deviation=student.normalizer.deviation.flatten().numpy().copy(),
    )


@torch.no_grad()
def _quantize_capacity(
    student: NestedStudent,
    capacity: int,
    scales: Mapping[str, NDArray[np.float32]],
    inputs: torch.Tensor,
) -> QuantizedCapacity:
    *outputs, pooled = student.features(inputs, capacity)
    layers = []
    for layer, output in enumerate(outputs):
        gain, offset = student.norm(capacity, layer).folded()
        layers.append(
            QuantizedLayer(
                weight_scale=scales[kernel_name(layer)][: len(gain)] * gain.numpy(),
                bias=offset.numpy().copy(),
                output=activation_range(output.numpy()),
                stride=student.config.strides[layer],
            )
        )
    return QuantizedCapacity(
        input=activation_range(student.normalizer(inputs).numpy()),
        layers=tuple(layers),
        pooled=activation_range(pooled.numpy()),
        head_scale=scales[HEAD_NAME],
        head_bias=student.head_offsets[capacity - 1].numpy().copy(),
    )
