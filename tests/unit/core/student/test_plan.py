"""Invariants of every nest, over random families, sizes and widths."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import NestedTensor, Signature
from nestling_core.nest.layout import NestError, assemble, ring_bytes
from nestling_core.student.blocks import Conv, Gru, Lstm, Shuffle, SizesError
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
    shuffle_student,
)
from nestling_core.student.plan import layout, plan

WINDOW = Signature(shape=[4, 16], classes=["a", "b", "c"])
PICTURE = Signature(shape=[4, 8, 7], classes=["a", "b"])


@st.composite
def fractions(draw: st.DrawFn) -> tuple[float, ...]:
    shares = draw(st.sets(st.sampled_from([0.1, 0.25, 0.4, 0.5, 0.75]), max_size=3))
    return (*sorted(shares), 1.0)


def grows(channels: list[int], shares: tuple[float, ...], share: float) -> bool:
    """Return whether the next larger share gives more channels, whatever the family."""
    above = shares[shares.index(share) + 1]
    return any(math.ceil(count * share) < math.ceil(count * above) for count in channels)


@st.composite
def students(draw: st.DrawFn) -> tuple[Signature, StudentConfig]:
    family = draw(st.sampled_from(["conv", "separable", "shuffle", "deepsense", "gru", "lstm"]))
    count = draw(st.integers(1, 3))
    channels = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    shares = draw(fractions())
    sizes: dict[str, Any] = {
        "fractions": [share for share in shares if share == 1 or grows(channels, shares, share)],
        "kernel": draw(st.sampled_from([1, 3])),
    }
    strides = [draw(st.integers(1, 2)) for _ in channels]
    either = draw(st.sampled_from([WINDOW, PICTURE]))
    match family:
        case "conv":
            return either, conv_student(channels=channels, strides=strides, **sizes)
        case "separable":
            return either, separable_student(channels=channels, strides=strides, **sizes)
        case "shuffle":
            # A quarter of a multiple of 4 * 2 * 2 can be split into two groups twice.
            sizes["fractions"] = draw(st.sampled_from([(0.25, 1.0), (0.5, 0.75, 1.0)]))
            wide = [16 * count for count in channels]
            return either, shuffle_student(channels=wide, strides=strides, groups=2, **sizes)
        case "deepsense":
            hidden = draw(st.integers(0, 5))
            return WINDOW, deepsense_student(
                sensors=2, branch=channels, fused=channels, hidden=hidden, **sizes
            )
        case _:
            cell = Lstm if family == "lstm" else Gru
            return WINDOW, recurrent_student(
                channels=channels, strides=strides, hidden=channels[0], cell=cell, **sizes
            )


def drawn(tensors: list[NestedTensor]) -> dict[str, NDArray[np.int8]]:
    rng = np.random.default_rng(0)
    return {t.name: rng.integers(-127, 128, t.prefixes[-1].shape, np.int8) for t in tensors}


@given(students())
def test_every_capacitys_tensor_is_a_prefix_slice_of_the_largests(
    student: tuple[Signature, StudentConfig],
) -> None:
    tensors, config = layout(*student), student[1]
    whole = drawn(tensors)
    rings = [ring_bytes(tensors, whole, k) for k in range(1, config.capacities + 1)]

    for capacity in range(1, config.capacities + 1):
        assembled = assemble(tensors, rings[:capacity])
        assert list(assembled) == [tensor.name for tensor in tensors]
        for tensor in tensors:
            box = tuple(map(slice, tensor.prefixes[capacity - 1].shape))
            assert assembled[tensor.name].tobytes() == whole[tensor.name][box].tobytes()
    assert sum(map(len, rings)) == sum(tensor.size for tensor in whole.values())


@given(students(), st.data())
def test_short_weight_store_is_refused(
    student: tuple[Signature, StudentConfig], data: st.DataObject
) -> None:
    tensors, config = layout(*student), student[1]
    rings = [ring_bytes(tensors, drawn(tensors), k) for k in range(1, config.capacities + 1)]
    short = data.draw(st.sampled_from([n for n, ring in enumerate(rings) if ring]))
    rings[short] = rings[short][: data.draw(st.integers(0, len(rings[short]) - 1))]

    with pytest.raises(NestError, match=f"ring {short + 1} ends inside"):
        assemble(tensors, rings)


@given(students())
def test_widths_match_the_configuration_and_layers_fit_each_other(
    student: tuple[Signature, StudentConfig],
) -> None:
    signature, config = student
    layers = plan(signature, config)

    for capacity in range(1, config.capacities + 1):
        wide = [layer for layer in layers if hasattr(layer.block, "channels")]
        assert config.widths_at(capacity) == tuple(layer.channels(capacity) for layer in wide)
        given_out = [signature.shape[0], *(layer.channels(capacity) for layer in layers)]
        assert given_out[:-1] == [layer.source_channels(capacity) for layer in layers]


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=2, max_size=4))
def test_widths_are_accepted_only_if_they_nest(
    widths: list[tuple[int, int]],
) -> None:
    blocks = tuple(Conv(channels=count) for count in widths[-1])
    nests = all(
        small != large and small[0] <= large[0] and small[1] <= large[1]
        for small, large in itertools.pairwise(widths)
    )

    if nests:
        assert StudentConfig(blocks=blocks, widths=tuple(widths)).capacities == len(widths)
    else:
        with pytest.raises(SizesError, match="do not nest"):
            StudentConfig(blocks=blocks, widths=tuple(widths))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"blocks": (Shuffle(groups=2),)}, "at least one block"),
        (
            {"blocks": (Conv(channels=4),), "widths": ((2,), (3,))},
            "of the largest capacity must equal",
        ),
        ({"blocks": (Conv(channels=4),), "widths": ((0,), (4,))}, "at least 1"),
        ({"blocks": (Conv(channels=4),), "widths": ((1, 1), (4, 4))}, "for each of"),
        ({"blocks": (Conv(channels=4, groups=2),), "widths": ((3,), (4,))}, "split into groups"),
    ],
)
def test_sizes_that_do_not_form_a_nest_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SizesError, match=message):
        StudentConfig(**fields)


def test_groups_that_do_not_fit_each_other_are_refused() -> None:
    blocks = (Conv(channels=8, groups=2), Conv(channels=8, groups=4))

    with pytest.raises(SizesError, match="4 groups cannot follow 2"):
        plan(WINDOW, StudentConfig(blocks=blocks, fractions=(1.0,)))


def test_recurrent_block_on_an_image_is_refused() -> None:
    config = recurrent_student(channels=(4,), strides=(1,), hidden=4)

    with pytest.raises(SizesError, match="runs along one axis"):
        plan(PICTURE, config)


def test_fractions_that_give_two_capacities_the_same_widths_are_refused() -> None:
    with pytest.raises(SizesError, match=r"two capacities the same widths \(1,\)"):
        conv_student(channels=(2,), strides=(1,), fractions=(0.25, 0.5, 1.0))


def test_floating_point_error_does_not_round_up_the_channels() -> None:
    assert conv_student(channels=(70,), strides=(1,), fractions=(0.1, 1.0)).widths_at(1) == (7,)
