import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from nestling_cloud.learning.distillation import make_views
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.nesting.width_cost import counted_cost
from nestling_cloud.learning.nesting.width_search import (
    SearchResult,
    WidthSearch,
    held_out,
    search_widths,
)
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.nesting import NestingError
from nestling_cloud.tasks import Recipe
from nestling_core.nest.layout import check_layout
from nestling_core.student.config import conv_student, deepsense_student
from nestling_core.student.plan import layout
from tests.support.channels_cost import channels_cost
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits, tones


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
        progress=SilentProgress(),
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
        progress=SilentProgress(),
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
