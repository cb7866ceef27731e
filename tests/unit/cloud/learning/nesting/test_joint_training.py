import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
import torch
from torch import nn

from nestling_cloud.learning.distillation import Batch
from nestling_cloud.learning.distillation.augmented_views import make_views
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting import joint_loss, train_nested
from nestling_cloud.learning.nesting.joint_training import capacities_of_steps
from nestling_cloud.progress import Progress, SilentProgress, T
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.nesting import Joint, NestingError, Rule
from nestling_cloud.tasks import Recipe, Signature, Task
from nestling_core.student.config import conv_student
from nestling_core.student.losses import soft_divergence
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import TEMPERATURE, recalibrate
from tests.support.progress import EpochCounter
from tests.support.tiny_task import TINY_TASK, tiny_splits

SIGNATURE = Signature(shape=[2, 16], classes=["a", "b", "c"])


def student_of(*fractions: float) -> NestedStudent:
    torch.manual_seed(0)
    config = conv_student(channels=(8, 8), strides=(2, 1), fractions=fractions)
    return NestedStudent(SIGNATURE, config).eval()  # running statistics make runs repeatable


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        inputs=torch.randn(6, 2, 16, generator=generator),
        logits=torch.randn(6, 3, generator=generator),
        labels=torch.randint(3, (6,), generator=generator),
    )


class OnLogits:
    """Learns from labels and the teacher's answers; ignores features."""

    seen: Sequence[torch.Tensor] = ()

    def __call__(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, given: Batch, /
    ) -> torch.Tensor:
        self.seen = features
        return self.answer(logits, given)

    def answer(self, logits: torch.Tensor, given: Batch, /) -> torch.Tensor:
        return answer_loss(logits, given, Distillation(temperature=3.0, weight=0.4))


def ran_capacities(rule: Rule, count: int, *, steps: int = 1, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return list(itertools.islice(capacities_of_steps(rule, count, generator), steps))


def test_sandwich_trains_largest_on_the_objective_and_smaller_ones_on_the_largest() -> None:
    student = student_of(0.25, 0.5, 1.0)
    inputs = batch().inputs
    largest = student(inputs, 3)

    loss = joint_loss(student, OnLogits(), batch(), capacities=[3, 1, 2], teacher_share=0.0)

    expected = (
        taught(largest)
        + soft_divergence(student(inputs, 1), largest, TEMPERATURE)
        + soft_divergence(student(inputs, 2), largest, TEMPERATURE)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def taught(logits: torch.Tensor) -> torch.Tensor:
    return OnLogits().answer(logits, batch())


def test_objective_sees_every_layer_of_the_largest_and_its_pooled_features() -> None:
    student, objective = student_of(0.5, 1.0), OnLogits()

    joint_loss(student, objective, batch(), capacities=[2, 1], teacher_share=1.0)

    assert [tuple(each.shape) for each in objective.seen] == [(6, 8, 8), (6, 8, 8), (6, 8)]
    assert all(map(torch.equal, objective.seen, student.features(batch().inputs, 2)))


@pytest.mark.parametrize("capacities", [[2, 1], [1]], ids=["sum", "turn"])
def test_smaller_capacities_learn_from_teacher_and_largest_by_share(capacities: list[int]) -> None:
    student = student_of(0.5, 1.0)
    small, large = student(batch().inputs, 1), student(batch().inputs, 2)

    loss = joint_loss(student, OnLogits(), batch(), capacities=capacities, teacher_share=0.25)

    expected = 0.25 * taught(small) + 0.75 * soft_divergence(small, large, TEMPERATURE)
    if 2 in capacities:
        expected = expected + taught(large)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("capacities", [[2, 1], [1]], ids=["sum", "turn"])
def test_smaller_capacities_send_no_gradient_to_the_largest(
    capacities: list[int],
) -> None:
    student = student_of(0.5, 1.0)
    inputs = batch().inputs
    expected = torch.zeros(3)
    if 2 in capacities:
        expected = torch.autograd.grad(taught(student(inputs, 2)), student.head_offsets)[0][1]

    loss = joint_loss(student, OnLogits(), batch(), capacities=capacities, teacher_share=0.0)
    (gradient,) = torch.autograd.grad(loss, student.head_offsets)

    assert torch.allclose(gradient[1], expected, atol=1e-6)
    assert gradient[0].abs().max() > 0  # the smaller one learns


def test_turns_start_with_the_largest_capacity() -> None:
    assert ran_capacities("turns", 3, steps=7) == [[3], [1], [2], [3], [1], [2], [3]]


def test_sum_trains_every_capacity_in_each_step() -> None:
    assert ran_capacities("sum", 4, steps=2) == [[4, 1, 2, 3]] * 2


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (2, [2, 1]), (3, [3, 1, 2])])
def test_every_sandwich_has_the_largest_and_the_smallest(count: int, expected: list[int]) -> None:
    assert ran_capacities("sandwich", count) == [expected]


def test_sandwich_has_capacities_in_between_at_random() -> None:
    sandwiches = ran_capacities("sandwich", 5, steps=40)

    assert all(ran[:2] == [5, 1] and len(ran) == 3 for ran in sandwiches)
    assert {ran[2] for ran in sandwiches} == {2, 3, 4}


class EpochTotal(SilentProgress):
    """Remembers the number of epochs that a step announced."""

    def __init__(self) -> None:
        self.epochs = 0

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        self.epochs = total
        return super().track(items, total, what)


@pytest.mark.parametrize(("rule", "times"), [("turns", 3), ("sum", 1), ("sandwich", 1)])
def test_every_capacity_sees_the_data_as_often_as_the_recipe_asks(rule: Rule, times: int) -> None:
    progress = EpochTotal()
    recipe = Recipe(epochs=2, batch=256)

    train_tiny(0, Joint(rule=rule), progress, dataclasses.replace(TINY_TASK, student_recipe=recipe))

    assert progress.epochs == 2 * times  # a step trains one of three capacities, or all


@pytest.mark.parametrize(("rule", "times"), [("turns", 3), ("sum", 1)])
def test_nest_whose_patience_has_run_out_learns_no_longer(rule: Rule, times: int) -> None:
    progress = EpochCounter()
    recipe = Recipe(epochs=20, batch=256, learning_rate=1e-12, patience=2)  # nothing gets better

    train_tiny(0, Joint(rule=rule), progress, dataclasses.replace(TINY_TASK, student_recipe=recipe))

    # Each capacity in turns has the patience of the recipe, so all together have `times` as much.
    assert progress.epochs < 20 * times
    assert progress.epochs >= 1 + 2 * times


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(NestingError, match="choose 'turns', 'sum' or 'sandwich'"):
        Joint(rule="turn")  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_teacher_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(NestingError, match="teacher_share"):
        Joint(teacher_share=share)


@pytest.mark.parametrize("count", [300, 514, 1024, 1025])
@torch.no_grad()
def test_recalibration_measures_every_capacity_on_all_inputs_in_any_order(count: int) -> None:
    student = student_of(0.5, 1.0)
    generator = torch.Generator().manual_seed(2)
    inputs = 5 + 3 * torch.randn(count, 2, 16, generator=generator)
    inputs[count // 2 :] += 20  # as if recorded from another person

    recalibrate(student, inputs)

    for capacity in (1, 2):
        first = student.convolutions[0]
        before = first.convolve(inputs, first.plan.widths[capacity - 1], first.weight)
        norm = first.norm(capacity)
        assert torch.allclose(norm.running_mean, before.mean((0, 2)), rtol=1e-3, atol=1e-3)
        assert torch.allclose(norm.running_var, before.var((0, 2)), rtol=0.02)
    assert not student.training


@torch.no_grad()
def test_recalibration_forgets_the_running_averages_of_training() -> None:
    inputs = batch().inputs
    fresh, used = student_of(0.5, 1.0), student_of(0.5, 1.0)
    for norm in [*used.norms(1), *used.norms(2)]:
        for statistic in norm.buffers():
            statistic.fill_(123.0)

    recalibrate(fresh, inputs)
    recalibrate(used, inputs)

    assert torch.equal(fresh(inputs, 1), used(inputs, 1))
    assert torch.equal(fresh(inputs, 2), used(inputs, 2))


def train_tiny(
    seed: int,
    joint: Joint | None = None,
    progress: Progress | None = None,
    task: Task = TINY_TASK,
) -> NestedStudent:
    generator = seeded(seed)
    examples = tiny_splits().train
    views = make_views(task, _perfect_teacher(), examples, generator)
    return train_nested(
        task, views, examples.inputs, generator, progress or SilentProgress(), joint=joint
    )


def _perfect_teacher() -> nn.Module:
    """Make a teacher that matches the waves of the three pitches."""
    angles = torch.arange(16)[None] * torch.tensor([[0.6], [1.2], [1.8]])
    waves = torch.stack([angles.sin(), angles.cos()])  # (2, pitches, T)

    class Matcher(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            real = torch.einsum("nct,cpt->np", x, waves)
            imaginary = torch.einsum("nct,cpt->np", x, torch.stack([waves[1], -waves[0]]))
            return (real.square() + imaginary.square()).sqrt() / 4

    return Matcher()


@pytest.fixture(scope="module")
def tiny_student() -> NestedStudent:
    return train_tiny(0)


@torch.no_grad()
def test_every_capacity_learns_and_the_largest_is_best(tiny_student: NestedStudent) -> None:
    unseen = tiny_splits().calibration
    inputs, labels = torch.from_numpy(unseen.inputs), torch.from_numpy(unseen.labels)

    accuracy = [
        (tiny_student(inputs, k).argmax(1) == labels).double().mean().item() for k in (1, 2, 3)
    ]

    assert accuracy[0] > 0.4  # a third by chance
    assert accuracy[2] > 0.8
    assert max(accuracy) == accuracy[2]


def test_same_seed_gives_the_same_student(tiny_student: NestedStudent) -> None:
    again, other = train_tiny(0), train_tiny(1)

    assert _same(tiny_student, again, torch.equal)
    assert not _same(tiny_student, other, torch.allclose)


def _same(
    left: NestedStudent, right: NestedStudent, alike: Callable[[torch.Tensor, torch.Tensor], bool]
) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(alike(a, b) for a, b in pairs)
