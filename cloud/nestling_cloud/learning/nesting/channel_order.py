"""Reorder a student's channels without changing what it computes.

A permutation of a layer's positions (the same in all of its groups) is undone by permuting the
input positions of whatever reads them: the layers after it, or the head. Only the first positions
are permuted: capacities at least that wide compute the same afterwards, and smaller ones become
another prefix.
"""

from collections.abc import Sequence

import torch

from nestling_cloud.learning.loop import TrainingError
from nestling_core.student.blocks import Conv, Depthwise, Gru, Lstm, Shuffle
from nestling_core.student.layers import ConvLayer, Layer, RecurrentLayer
from nestling_core.student.network import NestedStudent


class OrderError(TrainingError):
    """Channels cannot be put in the given order."""


def ranked_layers(student: NestedStudent) -> list[Layer]:
    """Return the layers that have their own channels, in order.

    Raises:
        OrderError: the student has a shuffle, which assigns channels by their positions.
    """
    for layer in student.stack:
        if isinstance(layer.plan.block, Shuffle):
            raise OrderError(
                f"block {layer.plan.index} assigns channels by their positions, so they cannot be "
                "ranked: train a shuffled student jointly"
            )
    return [layer for layer in student.stack if isinstance(layer.plan.block, Conv | Gru | Lstm)]


@torch.no_grad()
def reorder(student: NestedStudent, index: int, order: Sequence[int]) -> None:
    """Reorder the first positions of a layer, in each of its groups alike.

    Args:
        student: changed in place.
        index: position of the layer in the stack.
        order: a permutation of 0 ... W - 1; position p gets the channel that was at `order[p]`.
            Capacities with at least W positions in this layer compute the same as before.

    Raises:
        OrderError: `order` is not a permutation or is too long, the block has no channels of its
            own, or the stack has a shuffle.
    """
    layer = student.stack[index]
    if layer not in ranked_layers(student):
        raise OrderError(f"block {index} has no channels of its own: reorder the block before it")
    places = layer.plan.widths[-1]
    if sorted(order) != list(range(len(order))) or len(order) > places:
        raise OrderError(f"{list(order)} does not permute the first of {places} positions")
    whole = torch.tensor([*order, *range(len(order), places)])
    _reorder_places(layer, order, whole)
    for reader in student.stack[index + 1 :]:
        if isinstance(reader.plan.block, Depthwise):
            _reorder_places(reader, order, whole)
            continue
        name, axis = _source_axis(reader)
        _permute(reader.weights()[name], axis, whole)
        return
    _permute(student.head, 1, whole)


def _reorder_places(layer: Layer, order: Sequence[int], whole: torch.Tensor) -> None:
    for weight in layer.weights().values():
        _permute(weight, 0, whole)
    if isinstance(layer, RecurrentLayer):
        _permute(layer.weights()["weight_hh"], 2, whole)
    assert isinstance(layer, ConvLayer | RecurrentLayer)
    for width, own in zip(layer.plan.widths, layer.capacities, strict=True):
        if width < len(order):  # becomes another prefix, so nothing is kept
            continue
        groups = layer.plan.groups if isinstance(layer, ConvLayer) else 1
        for array in own.state_dict().values():  # shares memory with the module's parameters
            array.copy_(array.unflatten(0, (groups, width))[:, whole[:width]].flatten(0, 1))


def _source_axis(layer: Layer) -> tuple[str, int]:
    """Return the weight that reads the previous layer, and its axis of input positions."""
    if isinstance(layer, RecurrentLayer):
        return "weight_ih", 2
    return "weight", 2 if layer.plan.groups > 1 else 1


def _permute(weight: torch.Tensor, axis: int, order: torch.Tensor) -> None:
    weight.copy_(weight.index_select(axis, order))
