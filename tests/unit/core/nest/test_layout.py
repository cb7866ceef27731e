"""For any shapes, the first k rings assemble to capacity k's tensors."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import NestedTensor, Prefix
from nestling_core.nest.layout import NestError, assemble, check_layout, ring_bytes

Shapes = Sequence[Sequence[int]]


def nested(name: str, shapes: Shapes) -> NestedTensor:
    return NestedTensor(name=name, prefixes=[Prefix(shape=shape) for shape in shapes])


def filled(layout: Sequence[NestedTensor]) -> dict[str, NDArray[np.int8]]:
    """Make tensors in which neighboring weights differ."""
    tensors = {}
    for number, tensor in enumerate(layout):
        shape = tuple(tensor.prefixes[-1].shape)
        values = np.arange(np.prod(shape, dtype=int)) * 7 + number
        tensors[tensor.name] = (values % 255 - 127).astype(np.int8).reshape(shape)
    return tensors


@st.composite
def nests(draw: st.DrawFn) -> list[NestedTensor]:
    """Draw 1 to 3 tensors of 1 to 4 axes, with 1 to 4 prefixes that grow or stay."""
    capacities = draw(st.integers(1, 4))
    layout = []
    for number in range(draw(st.integers(1, 3))):
        axes = draw(st.integers(1, 4))
        length = st.lists(st.integers(1, 6), min_size=capacities, max_size=capacities)
        grown = [sorted(draw(length)) for _ in range(axes)]
        layout.append(nested(f"t{number}", list(zip(*grown, strict=True))))
    return layout


@given(nests())
def test_first_rings_assemble_to_prefix_slices_of_the_whole_tensors(
    layout: list[NestedTensor],
) -> None:
    whole = filled(layout)
    capacities = len(layout[0].prefixes)
    rings = [ring_bytes(layout, whole, k) for k in range(1, capacities + 1)]

    for capacity in range(1, capacities + 1):
        tensors = assemble(layout, rings[:capacity])

        for tensor in layout:
            box = tuple(slice(0, length) for length in tensor.prefixes[capacity - 1].shape)
            assert whole[tensor.name][box].tobytes() == tensors[tensor.name].tobytes()
            assert tensors[tensor.name].flags.c_contiguous


@given(nests())
def test_rings_hold_every_weight_once(layout: list[NestedTensor]) -> None:
    whole = filled(layout)
    capacities = len(layout[0].prefixes)

    stored = b"".join(ring_bytes(layout, whole, k) for k in range(1, capacities + 1))

    assert sorted(b"".join(tensor.tobytes() for tensor in whole.values())) == sorted(stored)


def test_ring_is_the_new_blocks_axis_by_axis() -> None:
    layout = [nested("w", [(1, 1), (2, 3)])]
    whole = {"w": np.array([[1, 2, 3], [4, 5, 6]], np.int8)}

    assert bytes([1]) == ring_bytes(layout, whole, 1)
    # Rows beyond the old box in full, then columns beyond it in the old rows.
    assert bytes([4, 5, 6, 2, 3]) == ring_bytes(layout, whole, 2)


@pytest.mark.parametrize(("change", "message"), [(-1, "ends inside b"), (1, "1 bytes too many")])
def test_ring_of_another_size_is_refused(change: int, message: str) -> None:
    layout = [nested("a", [(2, 2), (4, 4)]), nested("b", [(2,), (5,)])]
    rings = [ring_bytes(layout, filled(layout), k) for k in (1, 2)]
    damaged = rings[1][:change] if change < 0 else rings[1] + bytes(change)

    with pytest.raises(NestError, match=f"ring 2 .*{message}"):
        assemble(layout, [rings[0], damaged])


@pytest.mark.parametrize("count", [0, 3])
def test_no_rings_or_more_than_capacities_are_refused(count: int) -> None:
    layout = [nested("w", [(2,), (3,)])]

    with pytest.raises(NestError, match=f"{count} rings for a nest of 2 capacities"):
        assemble(layout, [b"ab"] * count)


def test_tensor_that_does_not_match_the_layout_is_refused() -> None:
    layout = [nested("w", [(2, 2), (4, 4)])]

    floats: NDArray[Any] = np.zeros((4, 4), np.float32)
    for wrong in (np.zeros((4, 5), np.int8), floats):
        with pytest.raises(NestError, match="does not match the layout"):
            ring_bytes(layout, {"w": wrong}, 1)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ([], "no tensors"),
        ([NestedTensor(name="w")], "one prefix for each capacity"),
        ([nested("a", [(1,), (2,)]), nested("b", [(1,)])], "one prefix for each capacity"),
        ([nested("w", [(3, 1), (2, 4)])], r"w: \[3, 1\] does not nest in \[2, 4\]"),
        ([nested("w", [(1,), (2, 2)])], "does not nest"),
    ],
)
def test_layout_that_does_not_nest_is_refused(layout: list[NestedTensor], message: str) -> None:
    with pytest.raises(NestError, match=message):
        check_layout(layout)


def test_shrinking_any_one_axis_of_a_later_prefix_is_refused() -> None:
    for axis, before in itertools.product(range(3), range(2)):
        shapes = [[2, 2, 2], [3, 3, 3], [4, 4, 4]]
        shapes[before + 1][axis] = shapes[before][axis] - 1

        with pytest.raises(NestError, match="does not nest"):
            check_layout([nested("w", shapes)])
