"""Quantizes a trained student to int8 weights that all capacities (sizes) share."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.input_tensors import tensors_of
from nestling_cloud.learning.quantization.activation_ranges import activation_range
from nestling_cloud.learning.quantization.bias_correction import correct_biases
from nestling_cloud.learning.quantization.equalization import equalize
from nestling_cloud.learning.quantization.grid import ActivationRange, Floats, round_weight, spread
from nestling_cloud.learning.quantization.quantized_student import (
    QuantizedCapacity,
    QuantizedConv,
    QuantizedLayer,
    QuantizedRecurrent,
    QuantizedStudent,
)
from nestling_cloud.learning.quantization.weight_scales import tensor_grids, weight_scales
from nestling_cloud.recipes.quantization import Quantization, RangeMethod
from nestling_cloud.tasks.inputs import Inputs
from nestling_core.student.layers import ConvLayer, Layer, RecurrentLayer
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import HEAD_NAME
from nestling_core.student.sandwich import recalibrate

# Inputs that ranges are measured on, and most bytes of their activations with two copies of the
# largest; more hardly change the ranges and cost memory.
_RANGE_INPUTS, _RANGE_BYTES = 2048, 600_000_000

_PLAIN = Quantization()


def quantize(
    student: NestedStudent, inputs: Inputs, quantization: Quantization = _PLAIN
) -> QuantizedStudent:
    """Return the quantized form of a trained nested student.

    The student's own weights are rounded in place, so that normalization and activation ranges are
    measured with the weights that a device will run. If the options ask for fine-tuning, call
    `fine_tune` before this function.

    Args:
        student: the trained student, which is changed in place. Its weights are replaced by their
            rounded values, its normalization is measured again, and its biases may be corrected.
        inputs: the training inputs, (N, *shape). The normalization statistics are measured on all
            of them, and the activation ranges on at most 2,048 evenly spaced inputs, or on fewer if
            the activations of 2,048 inputs would take more than about 600 MB.
        quantization: the options that choose the methods.
    """
    if quantization.equalize:
        equalize(student)
    reference = copy.deepcopy(student)
    tensors, scales = _round_weights(student, quantization)
    recalibrate(student, tensors_of(inputs))
    sample = _sample(student, inputs)
    capacities = range(1, student.config.capacities + 1)
    grids = [list(_grids(student, k, sample, quantization.ranges)) for k in capacities]
    if quantization.bias_correction:
        recalibrate(reference, tensors_of(inputs))
        correct_biases(student, reference, grids, sample)
    scale = student.output_scale
    return QuantizedStudent(
        plans=tuple(layer.plan for layer in student.stack),
        tensors=tensors,
        capacities=tuple(_capacity(student, k, scales, grids[k - 1]) for k in capacities),
        mean=student.normalizer.mean.flatten().numpy().copy(),
        deviation=student.normalizer.deviation.flatten().numpy().copy(),
        front_end=student.config.front_end,
        center=None if scale is None else scale.center.numpy().copy(),
        spread=None if scale is None else scale.spread.numpy().copy(),
    )


@torch.no_grad()
def _sample(student: NestedStudent, inputs: Inputs) -> torch.Tensor:
    """Return the evenly spaced inputs that ranges are measured on."""
    first = torch.from_numpy(inputs[:1])
    outputs = student.features(first, student.config.capacities)
    sizes = [output.nbytes for output in (first, *outputs)]
    one = sum(sizes) + 2 * max(sizes)  # rounding makes copies
    most = max(1, min(_RANGE_INPUTS, _RANGE_BYTES // one))
    return torch.from_numpy(inputs[:: math.ceil(len(inputs) / most)])


def _round_weights(
    student: NestedStudent, quantization: Quantization
) -> tuple[dict[str, NDArray[np.int8]], dict[str, Floats]]:
    tensors: dict[str, NDArray[np.int8]] = {}
    scales: dict[str, Floats] = {}
    grids = tensor_grids(student)
    for name, weight in student.nested_weights().items():
        whole = weight.detach().numpy()
        scales[name] = weight_scales(whole, grids[name], quantization.weights)
        tensors[name] = round_weight(whole, scales[name])
        weight.data.copy_(torch.from_numpy(tensors[name] * spread(scales[name], weight.ndim)))
    return tensors, scales


@torch.no_grad()
def _grids(
    student: NestedStudent, capacity: int, inputs: torch.Tensor, method: RangeMethod
) -> Iterator[ActivationRange]:
    """Yield the grids of the normalized input, each layer's output and the pooled features."""
    yield activation_range(student.normalizer(inputs).numpy(), method)
    for output in student.features(inputs, capacity):
        yield activation_range(output.numpy(), method)


def _capacity(
    student: NestedStudent,
    capacity: int,
    scales: Mapping[str, Floats],
    grids: Sequence[ActivationRange],
) -> QuantizedCapacity:
    first, *outputs, pooled = grids
    return QuantizedCapacity(
        input=first,
        layers=tuple(
            _layer(layer, capacity, scales, output)
            for layer, output in zip(student.stack, outputs, strict=True)
        ),
        pooled=pooled,
        head_scale=scales[HEAD_NAME],
        head_bias=student.head_offsets[capacity - 1].detach().numpy().copy(),
    )


@torch.no_grad()
def _layer(
    layer: Layer, capacity: int, scales: Mapping[str, Floats], output: ActivationRange
) -> QuantizedLayer:
    width = layer.plan.widths[capacity - 1]
    of_rows = {name: scales[layer.plan.tensor_name(name)][:width] for name in layer.weights()}
    if isinstance(layer, ConvLayer):
        gain, offset = layer.norm(capacity).folded()
        return QuantizedConv(
            weight_scale=_in_order(of_rows["weight"]) * gain.numpy(),
            bias=offset.numpy().copy(),
            output=output,
        )
    if isinstance(layer, RecurrentLayer):
        arrays = layer.capacities[capacity - 1].state_dict()
        own = {name: array.numpy() for name, array in arrays.items()}
        return QuantizedRecurrent(
            scale_ih=_in_order(of_rows["weight_ih"] * np.exp(own["log_gain_ih"])),
            scale_hh=_in_order(of_rows["weight_hh"] * np.exp(own["log_gain_hh"])),
            bias_ih=_in_order(own["bias_ih"]),
            bias_hh=_in_order(own["bias_hh"]),
            output=output,
        )
    return None


def _in_order(rows: Floats) -> Floats:
    """Return the values of a stored tensor's rows, (W,) or (W, G), in the order of the channels."""
    return np.ascontiguousarray(rows.T).flatten()
