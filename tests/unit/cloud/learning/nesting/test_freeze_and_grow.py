import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.distillation import make_views
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting import train_grown
from nestling_cloud.learning.nesting.channel_order import OrderError
from nestling_cloud.learning.nesting.filter_ranking import RankingError
from nestling_cloud.learning.nesting.freeze_and_grow import grow_ring
from nestling_cloud.learning.nesting.pruning import prune, pruning_config, rank
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.nesting import Grow, Nesting, NestingError
from nestling_cloud.tasks import Examples, Recipe, Task
from nestling_core.student.config import (
    StudentConfig,
    conv_student,
    deepsense_student,
    recurrent_student,
    shuffle_student,
)
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate
from nestling_core.student.weights import prefix_shapes
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits

RECURRENT = recurrent_student(channels=(4,), strides=(2,), hidden=4, fractions=(0.5, 1.0))
SHORT = Grow(triplets=64, pruning_share=0.5)


def task_of(student: StudentConfig, *, decay: float = 0.02, epochs: int = 2) -> Task:
    recipe = Recipe(epochs=epochs, batch=64, weight_decay=decay)
    return dataclasses.replace(TINY_TASK, student=student, student_recipe=recipe)


def training_set_of(task: Task, seed: int = 0, examples: Examples | None = None) -> TrainingSet:
    generator = seeded(seed)
    known = examples or tiny_splits().train
    return TrainingSet(
        task=task,
        views=make_views(task, TinyTeacher(task.signature), known, generator),
        train_inputs=known.inputs,
        generator=generator,
        progress=SilentProgress(),
    )


def grown(task: Task, seed: int = 0) -> NestedStudent:
    return train_grown(training_set_of(task, seed), SHORT)


@pytest.mark.parametrize("student", [TINY_TASK.student, RECURRENT], ids=["conv", "gru"])
def test_smaller_capacities_stay_bit_for_bit_while_a_ring_grows(student: StudentConfig) -> None:
    task = task_of(student, decay=0.5)  # a decay that moves every weight that is not restored
    training_set = training_set_of(task)
    nested = NestedStudent(task.signature, task.student)
    before = {name: array.clone() for name, array in nested.state_dict().items()}

    grow_ring(nested, training_set, 2, SHORT)

    after = nested.state_dict()
    for name, shape in prefix_shapes(task.signature, task.student, 1).items():
        box = tuple(map(slice, shape))
        assert torch.equal(after[name][box], before[name][box]), name
    assert not torch.equal(after["head"], before["head"])  # the ring has learned


def test_weights_beyond_the_ring_do_not_decay() -> None:
    task = task_of(TINY_TASK.student, decay=0.5)
    nested = NestedStudent(task.signature, task.student)
    before = nested.head.detach().clone()

    grow_ring(nested, training_set_of(task), 2, SHORT)

    width = nested.stack[-1].plan.widths[1]
    assert torch.equal(nested.head[:, width:], before[:, width:])
    assert not torch.equal(nested.head[:, :width], before[:, :width])


@torch.no_grad()
def test_smaller_capacities_answer_the_same_after_larger_ones_grew() -> None:
    task = task_of(TINY_TASK.student)
    training_set = training_set_of(task)
    nested = NestedStudent(task.signature, task.student).eval()
    inputs = torch.from_numpy(training_set.train_inputs)
    before = nested(inputs, 1)

    with torch.enable_grad():
        grow_ring(nested, training_set, 2, SHORT)
        grow_ring(nested, training_set, 3, SHORT)

    assert torch.equal(nested(inputs, 1), before)


def test_ranking_changes_no_answer_of_the_ranked_capacity_or_larger_ones() -> None:
    task = task_of(TINY_TASK.student)
    training_set = training_set_of(task)
    nested = prune(training_set, SHORT)
    inputs = torch.from_numpy(training_set.train_inputs)
    recalibrate(nested, inputs)
    before = [nested(inputs, capacity) for capacity in (2, 3)]
    smallest = nested.convolutions[0].weight[:3].detach().clone()

    rank(nested, training_set, 2, 64)

    for capacity in (2, 3):
        assert torch.allclose(nested(inputs, capacity), before[capacity - 2], atol=1e-4)
    assert not torch.equal(nested.convolutions[0].weight[:3], smallest)


def test_ranking_puts_a_dead_filter_last() -> None:
    task = task_of(TINY_TASK.student)
    training_set = training_set_of(task)
    nested = prune(training_set, SHORT)
    first = nested.stack[0].weights()["weight"]
    with torch.no_grad():
        first[0] = 0

    rank(nested, training_set, 3, 512)

    assert first[0].abs().max() > 0
    assert first[5].abs().max() == 0


@pytest.mark.parametrize(
    "student",
    [RECURRENT, deepsense_student(sensors=2, branch=(2, 4), fused=(4,), fractions=(0.5, 1.0))],
    ids=["gru", "sensors"],
)
def test_families_whose_channels_can_be_ranked_grow(student: StudentConfig) -> None:
    task = task_of(student, epochs=1)

    nested = grown(task)

    assert nested.config == student
    assert all(torch.isfinite(array).all() for array in nested.state_dict().values())
    assert not nested.training


@torch.no_grad()
def test_grown_capacities_learn() -> None:
    task = task_of(TINY_TASK.student, epochs=10)
    known = training_set_of(task)
    perfect = dataclasses.replace(
        known.views,
        logits=6 * torch.nn.functional.one_hot(known.views.labels, 3).float().expand(8, -1, -1),
    )
    with torch.enable_grad():
        nested = train_grown(dataclasses.replace(known, views=perfect), SHORT)

    unseen = tiny_splits().calibration
    inputs, labels = torch.from_numpy(unseen.inputs), torch.from_numpy(unseen.labels)
    accuracy = [(nested(inputs, k).argmax(1) == labels).double().mean().item() for k in (1, 2, 3)]
    assert accuracy[0] > 0.4  # a third by chance
    assert accuracy[2] > 0.7


def test_same_seed_grows_the_same_student() -> None:
    task = task_of(TINY_TASK.student, epochs=1)
    first, again, other = grown(task, 0), grown(task, 0), grown(task, 1)

    arrays = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in arrays)
    assert not torch.equal(first.head, other.head)


def test_shuffled_student_is_refused_before_anything_is_trained() -> None:
    shuffled = shuffle_student(channels=(8, 8), strides=(2, 1), groups=2, fractions=(0.5, 1.0))

    with pytest.raises(OrderError, match="train a shuffled student jointly"):
        grown(task_of(shuffled))


def test_labels_of_one_class_cannot_rank_filters() -> None:
    examples = tiny_splits().train
    alike = dataclasses.replace(examples, labels=examples.labels * 0)
    task = task_of(TINY_TASK.student, epochs=1)

    with pytest.raises(RankingError, match="triplets need two classes"):
        prune(training_set_of(task, examples=alike), SHORT)


@given(
    channels=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    prunings=st.integers(1, 5),
)
@settings(deadline=None)
def test_pruning_passes_through_every_capacity(channels: list[int], prunings: int) -> None:
    config = conv_student(channels=[*channels, 40], strides=[1] * (len(channels) + 1))

    steps = pruning_config(config, prunings)

    rows = [config.widths_at(capacity) for capacity in range(1, config.capacities + 1)]
    assert [row for row in steps.widths if row in rows] == rows
    assert steps.capacities <= 1 + (config.capacities - 1) * prunings


def test_pruning_keeps_whole_positions_of_every_group() -> None:
    config = deepsense_student(sensors=3, branch=(4, 8), fused=(8,), fractions=(0.25, 1.0))

    assert pruning_config(config, 2).widths == ((3, 6, 2), (9, 15, 5), (12, 24, 8))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grow(prunings=0),
        lambda: Grow(triplets=0),
        lambda: Grow(pruning_share=0.0),
        lambda: Grow(growing_share=-1.0),
        lambda: Grow(growing_share=float("nan")),
    ],
)
def test_grow_settings_out_of_range_are_refused(make: Callable[[], Grow]) -> None:
    with pytest.raises(NestingError):
        make()


def test_unknown_way_is_refused() -> None:
    with pytest.raises(NestingError, match="choose 'joint' or 'grow'"):
        Nesting(way="jont")  # type: ignore[arg-type]
