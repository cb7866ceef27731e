"""Cuts and draws recordings, for streams that change more often and for small calibration sets."""

from dataclasses import replace

import numpy as np

from nestling_cloud.learning.routing.data import RoutingData

_PARTS = 4


def cut_into_quarters(data: RoutingData) -> RoutingData:
    """Return the same inputs with every recording cut into four, each a recording of its own."""
    lengths = [
        len(part)
        for length in data.lengths
        for part in np.array_split(np.arange(length), min(_PARTS, length))
    ]
    return replace(data, lengths=lengths)


def first_quarters(data: RoutingData) -> RoutingData:
    """Return only the first quarter of every recording."""
    return _beginnings(data, [max(1, length // _PARTS) for length in data.lengths])


def draw_recordings(data: RoutingData, count: int, rng: np.random.Generator) -> RoutingData:
    """Return recordings in a random order, the last of which is cut to reach the given count.

    Args:
        data: the outputs of every option for the inputs of recordings.
        count: the number of inputs to return, or of all inputs if there are fewer.
        rng: the generator of the order.
    """
    order = rng.permutation(len(data.lengths))
    before = np.concatenate([[0], np.cumsum(np.array(data.lengths)[order])[:-1]])
    kept = [
        (int(one), min(data.lengths[one], count - int(start)))
        for one, start in zip(order, before, strict=True)
        if start < count
    ]
    starts = np.cumsum([0, *data.lengths])
    chosen = np.concatenate([np.arange(starts[one], starts[one] + length) for one, length in kept])
    return replace(data.part(chosen), lengths=[length for _, length in kept])


def draw_beginnings(
    data: RoutingData, count: int, length: int, rng: np.random.Generator
) -> RoutingData:
    """Return beginnings of recordings in a random order, up to a number of inputs.

    Args:
        data: the outputs of every option for the inputs of recordings.
        count: the number of inputs to return, or of all inputs if there are fewer.
        length: the most inputs of one recording.
        rng: the generator of the order.
    """
    short = _beginnings(data, [min(length, one) for one in data.lengths])
    return draw_recordings(short, count, rng)


def _beginnings(data: RoutingData, lengths: list[int]) -> RoutingData:
    starts = np.cumsum([0, *data.lengths])
    chosen = [np.arange(start, start + one) for start, one in zip(starts, lengths, strict=False)]
    return replace(data.part(np.concatenate(chosen)), lengths=lengths)
