"""Cuts nested int8 tensors into rings, and assembles tensors from rings.

Capacity k uses one box of every tensor. The box starts at the origin and has the shape of the
tensor's k-th prefix. Ring k contains the weights that are in box k but not in box k - 1. In each
tensor, these weights form one block for each axis. The block of axis i consists of the indices that
box k - 1 has on the axes before i, the indices that box k adds on axis i, and the indices that
box k has on the axes after i. In ring 1, each tensor has a single block, which is box 1. A ring's
bytes are the blocks of all tensors, one after another in C order. Together, the rings contain every
weight exactly once.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import bundle_pb2

Tensors = Mapping[str, NDArray[np.int8]]


class NestError(ValueError):
    """Raised when prefixes do not nest, or when tensors or rings do not match the layout."""


def ring_bytes(layout: Sequence[bundle_pb2.NestedTensor], tensors: Tensors, capacity: int) -> bytes:
    """Return the bytes of one ring, cut out of the tensors of the largest capacity.

    Args:
        layout: all nested tensors with the shapes of their prefixes, smallest first.
        tensors: a mapping from a tensor's name to the whole int8 tensor.
        capacity: the capacity whose ring to cut, 1 to K.

    Returns:
        The weights that this capacity adds to the next smaller one.

    Raises:
        NestError: the prefixes do not nest, or a tensor does not match the layout.
    """
    check_layout(layout)
    parts: list[bytes] = []
    for tensor in layout:
        whole = tensors[tensor.name]
        if whole.shape != tuple(tensor.prefixes[-1].shape) or whole.dtype != np.int8:
            raise NestError(f"{tensor.name}: {whole.dtype}{whole.shape} does not match the layout")
        parts.extend(whole[block].tobytes() for block in _blocks(tensor, capacity))
    return b"".join(parts)


def assemble(
    layout: Sequence[bundle_pb2.NestedTensor], rings: Sequence[bytes]
) -> dict[str, NDArray[np.int8]]:
    """Return the tensors of capacity k, assembled from rings 1 to k.

    Args:
        layout: all nested tensors with the shapes of their prefixes, smallest first.
        rings: the first k rings, in order; k is at least 1.

    Returns:
        A mapping from a tensor's name to the tensor at capacity k, C-contiguous.

    Raises:
        NestError: the prefixes do not nest, a ring is shorter or longer than its blocks, or there
            are no rings or too many.
    """
    check_layout(layout)
    count = len(rings)
    if not 1 <= count <= len(layout[0].prefixes):
        raise NestError(f"{count} rings for a nest of {len(layout[0].prefixes)} capacities")
    tensors = {t.name: np.empty(tuple(t.prefixes[count - 1].shape), np.int8) for t in layout}
    for capacity, ring in enumerate(rings, start=1):
        flat = np.frombuffer(ring, np.int8)
        offset = 0
        for tensor in layout:
            for block in _blocks(tensor, capacity):
                view = tensors[tensor.name][block]
                piece = flat[offset : offset + view.size]
                if piece.size != view.size:
                    raise NestError(f"ring {capacity} ends inside {tensor.name}")
                view[...] = piece.reshape(view.shape)
                offset += view.size
        if offset != flat.size:
            raise NestError(f"ring {capacity} has {flat.size - offset} bytes too many")
    return tensors


def check_layout(layout: Sequence[bundle_pb2.NestedTensor]) -> None:
    """Raise NestError unless the prefixes of all tensors nest.

    All tensors must have the same number of prefixes, and each prefix must fit into the next one.

    Raises:
        NestError: there are no tensors, their numbers of prefixes differ, or a prefix does not fit
            into the next one.
    """
    if not layout:
        raise NestError("the nest has no tensors")
    counts = {len(tensor.prefixes) for tensor in layout}
    if len(counts) != 1 or 0 in counts:
        raise NestError(f"every tensor needs one prefix for each capacity, found {sorted(counts)}")
    for tensor in layout:
        shapes = [tuple(prefix.shape) for prefix in tensor.prefixes]
        for small, large in itertools.pairwise(shapes):
            if len(small) != len(large) or any(a > b for a, b in zip(small, large, strict=True)):
                raise NestError(f"{tensor.name}: {list(small)} does not nest in {list(large)}")


def _blocks(tensor: bundle_pb2.NestedTensor, capacity: int) -> Iterator[tuple[slice, ...]]:
    new = tuple(tensor.prefixes[capacity - 1].shape)
    old = tuple(tensor.prefixes[capacity - 2].shape) if capacity > 1 else (0,) * len(new)
    for axis in range(len(new)):
        yield tuple(
            slice(0, old[i]) if i < axis else slice(old[i] if i == axis else 0, new[i])
            for i in range(len(new))
        )
        if capacity == 1:  # the whole box is new: the first axis has it all
            return
