"""Recordings are kept whole when data is shared out."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.learning.routing import FITTED_PART, RoutingData, share_out


def numbered(lengths: list[int]) -> RoutingData:
    """Make data whose labels are the numbers of the inputs."""
    count = sum(lengths)
    return RoutingData(
        inputs=np.zeros((count, 1, 1), np.float32),
        logits=np.zeros((2, count, 3), np.float32),
        cloud=np.zeros((count, 3), np.float32),
        labels=np.arange(count),
        lengths=lengths,
    )


@given(st.lists(st.integers(1, 50), min_size=2, max_size=20))
def test_recordings_are_shared_out_whole_and_in_order(lengths: list[int]) -> None:
    data = numbered(lengths)

    fitted, held_out = share_out(data)

    assert np.array_equal(np.concatenate([fitted.labels, held_out.labels]), data.labels)
    assert [*fitted.lengths, *held_out.lengths] == lengths
    for part in (fitted, held_out):
        assert sum(part.lengths) == len(part) > 0
    # No other border between recordings is nearer to 60%.
    border = FITTED_PART * len(data)
    nearest = min(abs(end - round(border)) for end in np.cumsum(lengths)[:-1].tolist())
    assert abs(len(fitted) - round(border)) == nearest


@pytest.mark.parametrize("lengths", [[], [10]], ids=["independent", "one recording"])
def test_inputs_without_borders_are_shared_out_at_sixty_percent(lengths: list[int]) -> None:
    fitted, held_out = share_out(dataclasses.replace(numbered([10]), lengths=lengths))

    assert (len(fitted), len(held_out)) == (6, 4)
    assert [*fitted.lengths, *held_out.lengths] == ([6, 4] if lengths else [])


def test_inputs_between_two_places_keep_their_recordings() -> None:
    chosen = numbered([2, 3, 4]).between(3, 8)

    assert chosen.labels.tolist() == [3, 4, 5, 6, 7]
    assert list(chosen.lengths) == [2, 3]


def test_chosen_inputs_are_independent() -> None:
    chosen = numbered([2, 3, 4]).part(np.array([8, 0]))

    assert chosen.labels.tolist() == [8, 0]
    assert not chosen.lengths
