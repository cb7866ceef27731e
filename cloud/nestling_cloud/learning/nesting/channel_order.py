"""Reordering a student's channels, which leaves what it computes as it is.

A permutation of a layer's places (the same in all of its groups) is undone by permuting the source
places of whoever reads them: layers after it, or the head. It touches the first places only, so
capacities at least as wide compute the same afterwards, and smaller ones another prefix.
"""

from collections.abc import Sequence

import torch

from nestling_cloud.learning.loop import TrainingError
from nestling_core.student.blocks import Conv, Depthwise, Gru, Lstm, Shuffle
from nestling_core.student.layers import ConvLayer, Layer, RecurrentLayer
from nestling_core.student.network import NestedStudent


class OrderError(TrainingError):
    """Channels that cannot be put in another order."""


def ranked_layers(student: NestedStudent) -> list[Layer]:
    """The layers that have channels of their own, in order.

    Raises:
        OrderError: a shuffle deals channels out by their places.
    """
    for layer in student.stack:
        if isinstance(layer.plan.block, Shuffle):
            raise OrderError(
                f"block {layer.plan.index} deals channels out by their places, so they cannot be "
                "ranked: nest a shuffled student jointly"
            )
    return [layer for layer in student.stack if isinstance(layer.plan.block, Conv | Gru | Lstm)]


@torch.no_grad()
def reorder(student: NestedStudent, index: int, order: Sequence[int]) -> None:
    """Put the first places of a layer into another order, in each of its groups alike.

    Args:
        student: changed in place.
        index: of the layer in the stack.
        order: a permutation of 0 ... W - 1; place p gets what was at `order[p]`. Capacities with
            at least W places in this layer compute the same as before.

    Raises:
        OrderError: no permutation, more places than there are, a block without channels of its own,
            or a shuffle in the stack.
    """
    layer = student.stack[index]
    if layer not in ranked_layers(student):
        raise OrderError(f"block {index} has no channels of its own: reorder the block before")
    places = layer.plan.widths[-1]
    if sorted(order) != list(range(len(order))) or len(order) > places:
        raise OrderError(f"{list(order)} is no order of the first of {places} places")
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
        if width < len(order):  # another prefix from now on: nothing to keep
            continue
        groups = layer.plan.groups if isinstance(layer, ConvLayer) else 1
        for array in own.state_dict().values():  # shares memory with the module's own
            array.copy_(array.unflatten(0, (groups, width))[:, whole[:width]].flatten(0, 1))


def _source_axis(layer: Layer) -> tuple[str, int]:
    """The weight that reads the layer before, and its axis of source places."""
    if isinstance(layer, RecurrentLayer):
        return "weight_ih", 2
    return "weight", 2 if layer.plan.groups > 1 else 1


def _permute(weight: torch.Tensor, axis: int, order: torch.Tensor) -> None:
    weight.copy_(weight.index_select(axis, order))
