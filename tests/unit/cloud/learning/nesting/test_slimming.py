import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.nesting.slimming import Measure, PathPoint, choose, ladder, slim
from nestling_cloud.learning.nesting.width_cost import Cost, Widths
from nestling_cloud.recipes.nesting import NestingError
from tests.support.channels_cost import channels_cost


def walk(
    weights: Widths, whole: Widths, *, steps: Widths, smallest: Widths, share: float = 1e-9
) -> list[PathPoint]:
    """Slim with an accuracy that is linear in the channels of each layer."""
    layers = zip(whole, steps, smallest, strict=True)
    return list(
        slim(
            [ladder(most, unit=step, least=least, step=share) for most, step, least in layers],
            accuracy=lambda widths: float(np.dot(weights, widths)),
            cost=channels_cost,
            measure="bytes",
        )
    )


def test_layer_that_matters_least_is_slimmed_first() -> None:
    path = walk((1, 5), (3, 3), steps=(1, 1), smallest=(1, 1))

    assert [point.widths for point in path] == [(3, 3), (2, 3), (1, 3), (1, 2), (1, 1)]


def test_loss_is_weighed_against_the_saved_cost() -> None:
    def cost(widths: Widths) -> Cost:
        return Cost(latency_us=10.0 * widths[0] + widths[1], bytes=sum(widths))

    def path(measure: Measure) -> list[PathPoint]:
        return list(
            slim(
                [(2, 1), (2, 1)],
                accuracy=lambda widths: 2.0 * widths[0] + widths[1],
                cost=cost,
                measure=measure,
            )
        )

    assert path("bytes")[1].widths == (2, 1)
    assert path("latency")[1].widths == (1, 2)


def test_trial_that_saves_nothing_is_chosen_last() -> None:
    path = slim(
        [(2, 1), (2, 1)],
        accuracy=lambda widths: float(widths[1]),  # the first layer is worth nothing
        cost=lambda widths: Cost(latency_us=float(widths[1]), bytes=1),
        measure="latency",
    )

    assert [point.widths for point in path] == [(2, 2), (2, 1), (1, 1)]


def test_steps_are_finer_where_fewer_channels_are_left() -> None:
    assert ladder(64, unit=1, least=8, step=0.25) == [64, 48, 36, 27, 21, 16, 12, 9, 8]
    assert ladder(12, unit=4, least=4, step=0.25) == [12, 8, 4]


@given(
    places=st.integers(1, 200),
    more=st.integers(0, 200),
    unit=st.integers(1, 4),
    step=st.floats(0.01, 0.99),
)
def test_ladder_falls_by_its_share_in_whole_units_down_to_the_floor(
    places: int, more: int, unit: int, step: float
) -> None:
    widths = ladder(unit * (places + more), unit=unit, least=unit * places, step=step)

    assert widths[0] == unit * (places + more)
    assert widths[-1] == unit * places
    for large, small in itertools.pairwise(widths):
        assert small % unit == 0
        assert 0 < large - small <= max(unit, step * large)


@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 8), st.integers(1, 4), st.integers(0, 9)),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None)
def test_path_only_shrinks_and_ends_where_no_layer_can_shrink(
    sizes: list[tuple[int, int, int, int]],
) -> None:
    smallest = tuple(least for least, *_ in sizes)
    whole = tuple(least + more for least, more, *_ in sizes)
    steps = tuple(step for _, _, step, _ in sizes)

    path = walk(tuple(w for *_, w in sizes), whole, steps=steps, smallest=smallest)

    assert path[0].widths == whole
    for large, small in itertools.pairwise(path):
        lost = [a - b for a, b in zip(large.widths, small.widths, strict=True)]
        assert sorted(lost)[:-1] == [0] * (len(lost) - 1)  # one layer, by one step
        assert lost[int(np.argmax(lost))] == steps[int(np.argmax(lost))]
        assert small.cost.bytes < large.cost.bytes
    ends = zip(path[-1].widths, steps, smallest, strict=True)
    assert all(least <= width < least + step for width, step, least in ends)


@given(
    targets=st.lists(st.sampled_from([0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), unique=True, max_size=4).map(
        lambda found: (*sorted(found), 1.0)
    )
)
def test_chosen_points_nest_and_keep_to_their_targets(targets: tuple[float, ...]) -> None:
    path = walk((1, 3), (10, 10), steps=(1, 1), smallest=(1, 1))

    points = choose(path, targets, "bytes")

    for target, point in zip(targets, points, strict=True):
        assert point.cost.bytes <= 20 * target
    for small, large in itertools.pairwise(points):
        assert all(a <= b for a, b in zip(small.widths, large.widths, strict=True))
    assert points[-1].widths == (10, 10)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ((0.5,), "must rise from above 0 and end at 1"),
        ((0.0, 1.0), "must rise from above 0"),
        ((0.5, 0.4, 1.0), "must rise"),
        ((), "must rise"),
        ((0.01, 1.0), "out of reach: the smallest widths take 0.100"),
        ((0.51, 0.52, 1.0), "too close for the steps"),
    ],
)
def test_targets_that_the_path_does_not_meet_are_refused(
    targets: tuple[float, ...], words: str
) -> None:
    path = walk((1, 3), (10, 10), steps=(1, 1), smallest=(1, 1))

    with pytest.raises(NestingError, match=words):
        choose(path, targets, "bytes")


@pytest.mark.parametrize(("steps", "smallest"), [((0, 1), (1, 1)), ((1, 1), (4, 1))])
def test_steps_that_cannot_reach_the_smallest_widths_are_refused(
    steps: Widths, smallest: Widths
) -> None:
    with pytest.raises(NestingError, match="cannot be narrowed"):
        walk((1, 1), (3, 3), steps=steps, smallest=smallest)
