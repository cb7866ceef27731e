"""Counts the multiply-accumulates and the activations of a network for one input."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.config import StudentConfig
from nestling_core.student.front_end import LogMelLayer
from nestling_core.student.plan import plan


@torch.no_grad()
def network_macs(network: nn.Module, *shapes: Sequence[int]) -> int:
    """Return the number of multiply-accumulates that a network needs for one input.

    Only linear layers, convolutions along one or two axes, and log-mel front ends are counted.

    Args:
        network: the network, which is set to evaluation mode.
        *shapes: the shape of each of the network's inputs, without the batch axis.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, LogMelLayer):
            total += layer.sizes.macs(inputs[0].shape[1:])
            return
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        total += output.numel() * math.prod(weight.shape[1:])

    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear, LogMelLayer)
    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, kinds)
    ]
    network.eval()
    network(*(torch.zeros(1, *shape) for shape in shapes))
    for hook in hooks:
        hook.remove()
    return total


def activation_counts(signature: Signature, config: StudentConfig, capacity: int) -> list[int]:
    """Return the number of values that a student's first layer reads, and that each layer outputs.

    Args:
        signature: the shape and classes of the task.
        config: the sizes of the student.
        capacity: the number of the capacity, 1 to K.
    """
    return [layer.values for layer in _layers(signature, config, capacity)]


def student_macs(signature: Signature, config: StudentConfig, capacity: int) -> int:
    """Return the number of multiply-accumulates that a capacity (student size) needs for an input.

    The front end, convolutions, recurrent layers and the linear layer at the end are counted.

    Args:
        signature: the shape and classes of the task.
        config: the sizes of the student.
        capacity: the number of the capacity, 1 to K.
    """
    last = plan(signature, config)[-1]
    layers = sum(layer.macs for layer in _layers(signature, config, capacity))
    if config.front_end:
        layers += config.front_end.macs(signature.shape)
    return layers + last.channels(capacity) * kind_of(signature).student_outputs


def macs_by_capacity(signature: Signature, config: StudentConfig) -> list[int]:
    """Return `student_macs` of every capacity of a student, the smallest first.

    Args:
        signature: the shape and classes of the task.
        config: the sizes of the student.
    """
    return [student_macs(signature, config, k) for k in range(1, config.capacities + 1)]


@dataclass(frozen=True, kw_only=True)
class _LayerCount:
    """A layer's number of output values and of multiply-accumulates for one input."""

    values: int
    macs: int


def _layers(signature: Signature, config: StudentConfig, capacity: int) -> Iterator[_LayerCount]:
    channels, *axes = config.read_shape(signature.shape)
    yield _LayerCount(values=channels * math.prod(axes), macs=0)
    for layer in plan(signature, config):
        # Kernels are odd and padded by half their size.
        axes = [(length - 1) // layer.stride + 1 for length in axes]
        weights = sum(math.prod(shape) for shape in layer.weights(capacity).values())
        yield _LayerCount(
            values=layer.channels(capacity) * math.prod(axes), macs=weights * math.prod(axes)
        )
