"""Reorders a student's channels without changing what the student computes.

A layer's positions are permuted in the same way in all of its groups. The layer that reads the
positions (or the head) gets its input positions permuted too, which undoes the permutation. Only
the first positions are permuted. Capacities that have at least these positions compute the same
afterwards, and the smaller capacities get other channels.
"""

from collections.abc import Sequence

import torch

from nestling_cloud.learning.loop import TrainingError
from nestling_core.student.blocks import Conv, Depthwise, Gru, Lstm, Shuffle
from nestling_core.student.layers import ConvLayer, Layer, RecurrentLayer
from nestling_core.student.network import NestedStudent


class OrderError(TrainingError):
    """Raised when a student's channels cannot be reordered at all, or not in the given order."""


def ranked_layers(student: NestedStudent) -> list[Layer]:
    """Return the layers whose channels can be reordered, in the student's order.

    These are the layers with their own channels, namely all but depthwise convolutions, which use
    the channels of the layer before.

    Raises:
        OrderError: the student has a shuffle block, which assigns channels by their positions.
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
    """Reorder the first positions of a layer in the same way in each of the layer's groups.

    Capacities with at least as many positions in this layer as `order` has compute the same as
    before.

    Args:
        student: the nested student, which is changed in place.
        index: the index of the layer in the student's stack of layers.
        order: a permutation of 0 ... W - 1, where W is the number of first positions to reorder.
            Position p gets the channel that was at `order[p]`.

    Raises:
        OrderError: `order` is not a permutation or is longer than the layer is wide, the layer has
            no channels of its own, or the student has a shuffle block.
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
    """Return the name of the weight that reads the previous layer, and the axis of its inputs."""
    if isinstance(layer, RecurrentLayer):
        return "weight_ih", 2
    return "weight", 2 if layer.plan.groups > 1 else 1


def _permute(weight: torch.Tensor, axis: int, order: torch.Tensor) -> None:
    weight.copy_(weight.index_select(axis, order))
