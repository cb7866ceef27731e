import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.distillation import Batch, Distillation, make_views
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.macs import student_macs
from nestling_cloud.learning.nesting import NestingError
from nestling_cloud.learning.nesting.search_space import random_widths
from nestling_cloud.learning.nesting.slimming import (
    Measure,
    PathPoint,
    choose,
    ladder,
    slim,
)
from nestling_cloud.learning.nesting.supernet import Supernet, supernet_loss
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.nesting.width_cost import Cost, counted_cost, timed_cost
from nestling_cloud.learning.nesting.width_search import (
    SearchResult,
    WidthSearch,
    held_out,
    search_widths,
)
from nestling_cloud.progress import Silent
from nestling_cloud.tasks import Recipe, Signature
from nestling_core.nest.layout import check_layout
from nestling_core.student.blocks import Conv, Depthwise
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    separable_student,
)
from nestling_core.student.losses import soft_divergence
from nestling_core.student.plan import layout
from nestling_core.student.sandwich import TEMPERATURE
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits, tones

SIGNATURE = Signature(shape=[4, 12], classes=["a", "b", "c"])
Widths = tuple[int, ...]


def channels_cost(widths: Widths) -> Cost:
    return Cost(latency_us=float(sum(widths)), bytes=sum(widths))


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


def test_counted_cost_has_the_bytes_and_operations_of_the_student() -> None:
    config = conv_student(channels=(4, 6), strides=(1, 2))
    sized = StudentConfig(blocks=config.blocks, widths=((2, 3), (4, 6)))

    cost = counted_cost(SIGNATURE, config)

    assert cost((2, 3)).bytes == 3 * 4 * 2 + 3 * 2 * 3 + 3 * 3
    assert cost((2, 3)).latency_us == pytest.approx(student_macs(SIGNATURE, sized, 1) / 1000)
    assert cost((4, 6)).bytes == 3 * 4 * 4 + 3 * 4 * 6 + 6 * 3


def test_timed_cost_replaces_the_latency_and_keeps_the_bytes() -> None:
    cost = timed_cost(channels_cost, lambda widths: 7.0 * len(widths))

    assert cost((2, 3)) == Cost(latency_us=14.0, bytes=5)


def test_floor_is_a_share_of_evenly_narrowed_layers() -> None:
    config = conv_student(channels=(16, 32), strides=(1, 1))

    half = WidthSearch(targets=(0.5, 1.0), floor=0.5).smallest(config, channels_cost)
    whole = WidthSearch(targets=(0.5, 1.0), floor=1.0).smallest(config, channels_cost)

    assert (half, whole) == ((4, 8), (8, 16))


def test_floor_keeps_whole_positions_of_groups() -> None:
    config = deepsense_student(sensors=2, branch=(8,), fused=(8,))

    search = WidthSearch(targets=(0.4, 1.0), floor=0.75)

    assert search.smallest(config, channels_cost) == (4, 2)


def test_target_that_no_widths_meet_is_refused_before_anything_is_trained() -> None:
    config = conv_student(channels=(4, 6), strides=(1, 1))

    with pytest.raises(
        NestingError, match=r"0\.1 is out of reach: .* 0\.200 of the largest's bytes"
    ):
        WidthSearch(targets=(0.1, 1.0)).smallest(config, channels_cost)


def test_random_widths_are_whole_positions_between_smallest_and_largest() -> None:
    config = deepsense_student(sensors=2, branch=(16,), fused=(64,))
    generator = torch.Generator().manual_seed(0)

    rows = np.array([random_widths(config, (4, 4), generator) for _ in range(400)])

    assert (rows.min(0).tolist(), rows.max(0).tolist()) == ([4, 4], [32, 64])
    assert (rows[:, 0] % 2 == 0).all()
    assert np.median(rows[:, 1]) == pytest.approx(16, abs=3)  # half of the octaves


FAMILIES = {
    "conv": conv_student(channels=(4, 6), strides=(2, 1)),
    "separable": separable_student(channels=(4, 6), strides=(2, 1)),
    "depthwise first": StudentConfig(blocks=(Depthwise(), Conv(channels=6))),
    "sensors": deepsense_student(sensors=2, branch=(4, 6), fused=(6,)),
    "sensors only": deepsense_student(sensors=2, branch=(4, 6), fused=()),
}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_supernet_runs_at_any_width_and_ignores_the_rest(family: str) -> None:
    torch.manual_seed(0)
    supernet = Supernet(SIGNATURE, FAMILIES[family])
    inputs = torch.randn(6, 4, 12)
    widths = tuple(2 for _ in FAMILIES[family].whole)
    before = supernet(inputs, widths)

    supernet.head[:, 2:] = 99  # beyond the two channels, or the one position of two groups

    assert before.shape == (6, 3)
    assert torch.equal(supernet(inputs, widths), before)


@torch.no_grad()
def test_supernet_normalizes_by_the_statistics_of_the_first_inputs_only() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SIGNATURE, FAMILIES["conv"])
    inputs = torch.randn(9, 4, 12)

    eight, nine = (supernet(inputs[:count], (2, 4), 6) for count in (8, 9))

    assert torch.allclose(eight, nine[:8], atol=1e-6)
    assert not torch.allclose(eight, supernet(inputs[:8], (2, 4)), atol=1e-3)


def test_supernet_learns_from_the_teacher_at_its_largest_and_from_itself_below() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SIGNATURE, FAMILIES["conv"])
    inputs, distillation = torch.randn(6, 4, 12), Distillation(weight=0.4)
    batch = Batch(inputs=inputs, labels=torch.randint(3, (6,)), logits=torch.randn(6, 3))

    loss = supernet_loss(supernet, batch, distillation, [(4, 6), (1, 1), (3, 2)])

    largest = supernet(inputs, (4, 6))
    expected = (
        answer_loss(largest, batch, distillation)
        + soft_divergence(supernet(inputs, (1, 1)), largest, TEMPERATURE)
        + soft_divergence(supernet(inputs, (3, 2)), largest, TEMPERATURE)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_recurrent_students_are_refused() -> None:
    with pytest.raises(NestingError, match="in students of convolutions"):
        Supernet(SIGNATURE, recurrent_student(channels=(4,), strides=(2,), hidden=4))


def test_held_out_are_the_last_of_every_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0], np.int64)

    assert np.flatnonzero(held_out(labels, 0.4)).tolist() == [3, 7, 8]


def search_tiny(seed: int) -> SearchResult:
    task = dataclasses.replace(
        TINY_TASK,
        student=conv_student(channels=(8, 8), strides=(2, 1)),
        student_recipe=Recipe(epochs=2, batch=64),
    )
    generator, examples = seeded(seed), tiny_splits().train
    training_set = TrainingSet(
        task=task,
        views=make_views(task, TinyTeacher(task.signature), examples, generator),
        train_inputs=examples.inputs,
        generator=generator,
        progress=Silent(),
    )
    search = WidthSearch(targets=(0.3, 0.6, 1.0))
    return search_widths(training_set, counted_cost(task.signature, task.student), search)


def test_too_few_examples_to_hold_any_out_are_refused() -> None:
    few = tones(9, 0)
    training_set = TrainingSet(
        task=TINY_TASK,
        views=make_views(TINY_TASK, TinyTeacher(TINY_TASK.signature), few, seeded(0)),
        train_inputs=few.inputs,
        generator=seeded(0),
        progress=Silent(),
    )
    cost = counted_cost(TINY_TASK.signature, TINY_TASK.student)

    with pytest.raises(NestingError, match=r"no class has an example .* held_out 0\.1: give"):
        search_widths(training_set, cost, WidthSearch(targets=(0.5, 1.0), held_out=0.1))


def test_search_returns_nested_widths_within_the_targets() -> None:
    found = search_tiny(0)

    cost = counted_cost(TINY_TASK.signature, found.config)
    whole = cost(found.config.whole).bytes
    check_layout(layout(TINY_TASK.signature, found.config))
    assert found.config.capacities == 3
    for target, widths in zip((0.3, 0.6, 1.0), found.config.widths, strict=True):
        assert cost(widths).bytes <= target * whole


def test_same_seed_searches_the_same_path() -> None:
    assert search_tiny(0) == search_tiny(0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: WidthSearch(step=0.0),
        lambda: WidthSearch(floor=0.0),
        lambda: WidthSearch(targets=(0.5, 0.4, 1.0)),
        lambda: WidthSearch(held_out=1.0),
        lambda: WidthSearch(random_widths=-1),
    ],
)
def test_search_settings_out_of_range_are_refused(make: Callable[[], WidthSearch]) -> None:
    with pytest.raises(NestingError):
        make()
