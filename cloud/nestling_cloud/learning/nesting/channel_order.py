"""Reorders a student's channels, to choose which of them the smaller capacities use.

The first channels of a layer are permuted, in the same way in each of the layer's groups. The
inputs of the layer that reads these channels (or of the head) are permuted to match. A capacity
that uses all permuted channels therefore has the same output as before. A smaller capacity uses
other channels than before, so its output changes. In this module, the position of a channel is its
index within its group.
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

    These are all layers except depthwise convolutions, which have the same channels as the layer
    before them.

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
    """Permute the first channels of a layer, in the same way in each of the layer's groups.

    The inputs of the layer that reads these channels (or of the head) are permuted to match. A
    capacity that uses at least W channels in each group therefore has the same output as before. A
    smaller capacity uses other channels than before, so its output changes.

    Args:
        student: the nested student, which is changed in place.
        index: the index of the layer in the student's stack of layers.
        order: a permutation of 0 ... W - 1, where W is the number of channels to permute in each
            group. The channel at position `order[p]` of its group moves to position p.

    Raises:
        OrderError: `order` is not a permutation, or has more entries than a group has channels; the
            layer has no channels of its own; or the student has a shuffle block.
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
    """Return the name of the weight that reads the previous layer, and the axis to permute.

    This is the axis along which the positions of the previous layer's channels lie.
    """
    if isinstance(layer, RecurrentLayer):
        return "weight_ih", 2
    return "weight", 2 if layer.plan.groups > 1 else 1


def _permute(weight: torch.Tensor, axis: int, order: torch.Tensor) -> None:
    weight.copy_(weight.index_select(axis, order))
