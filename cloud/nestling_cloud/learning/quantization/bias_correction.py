"""Corrects the biases of a rounded student, because rounding shifts the mean output of each layer.

This is the bias correction of Nagel et al. 2019, in the variant that measures the means on inputs.
Layers are corrected in order, because each correction depends on those of the layers before.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from nestling_cloud.learning.quantization.fake_quantization import activations_rounded, on_grids
from nestling_cloud.learning.quantization.grid import ActivationRange
from nestling_core.student.layers import ConvLayer, RecurrentLayer
from nestling_core.student.network import NestedStudent

Means = dict[int, torch.Tensor]


@torch.no_grad()
def correct_biases(
    student: NestedStudent,
    reference: NestedStudent,
    grids: Sequence[Sequence[ActivationRange]],
    inputs: torch.Tensor,
) -> None:
    """Change the biases to restore the mean outputs that each capacity had before rounding.

    For a convolution, the mean output of each channel is restored. For a recurrent layer, the mean
    contribution of the input to each gate is restored. Finally, the mean logits are restored.

    Args:
        student: the student with rounded weights, in evaluation mode. Its normalization offsets,
            gate biases and head offsets are changed in place.
        reference: the same student before rounding, in evaluation mode.
        grids: the 8-bit grids of the activations, first by capacity, then by point in the student
            (see `activations_rounded`).
        inputs: the inputs on which the means are measured, (N, *shape).
    """
    for capacity in range(1, student.config.capacities + 1):
        with _observed(reference) as means:
            expected = reference(inputs, capacity).mean(0)
        with _corrected(student, reference, means), activations_rounded(student, on_grids(grids)):
            actual = student(inputs, capacity).mean(0)
        shift = expected - actual
        scale = student.output_scale
        student.head_offsets[capacity - 1] += shift if scale is None else shift / scale.spread


@contextlib.contextmanager
def _observed(reference: NestedStudent) -> Iterator[Means]:
    """Yield a mapping in which forward passes record the mean activations of each layer's channels.

    The keys are the indices of the layers. The means, (C,), are those of the normalized output
    before the ReLU for a convolution, and of the input for a recurrent layer.
    """
    means: Means = {}

    def observe(index: int) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], None]:
        def hook(module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
            recurrent = isinstance(module, RecurrentLayer)
            means[index] = _mean(given[0] if recurrent else output)

        return hook

    with contextlib.ExitStack() as hooks:
        for index, layer in enumerate(reference.stack):
            if isinstance(layer, RecurrentLayer):
                hooks.enter_context(layer.register_forward_hook(observe(index)))
            elif isinstance(layer, ConvLayer):
                for norm in layer.capacities:
                    hooks.enter_context(norm.register_forward_hook(observe(index)))
        yield means


@contextlib.contextmanager
def _corrected(student: NestedStudent, reference: NestedStudent, means: Means) -> Iterator[None]:
    """Make forward passes in the `with` block correct the biases of each layer that they reach.

    `means` has the mean activations of the reference, as recorded by `_observed`.
    """

    def move_offset(index: int) -> Callable[..., torch.Tensor]:
        def hook(norm: Any, _: object, output: torch.Tensor) -> torch.Tensor:
            shift = means[index] - _mean(output)
            norm.offset += shift
            return output + shift.reshape(1, -1, *(1,) * (output.ndim - 2))

        return hook

    def move_gates(index: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(layer: nn.Module, given: tuple[Any, ...]) -> None:
            unrounded = reference.stack[index]
            assert isinstance(layer, RecurrentLayer)
            assert isinstance(unrounded, RecurrentLayer)
            x, capacity = given
            expected = unrounded.folded(capacity)[0] @ means[index]
            shift = expected - layer.folded(capacity)[0] @ _mean(x)
            bias = layer.capacities[capacity - 1].bias_ih
            assert isinstance(bias, nn.Parameter)
            bias.data += shift.reshape(bias.shape[::-1]).T

        return hook

    with contextlib.ExitStack() as hooks:
        for index, layer in enumerate(student.stack):
            if isinstance(layer, RecurrentLayer):
                hooks.enter_context(layer.register_forward_pre_hook(move_gates(index)))
            elif isinstance(layer, ConvLayer):
                for norm in layer.capacities:
                    hooks.enter_context(norm.register_forward_hook(move_offset(index)))
        yield


def _mean(x: torch.Tensor) -> torch.Tensor:
    """Return the mean of x (N, C, ...) for each channel, (C,)."""
    return x.transpose(0, 1).flatten(1).mean(1)
