from collections.abc import Callable

import pytest
import torch
from tests.tiny_task import TINY_TASK, TinyTeacher, tiny_splits
from torch import nn

from nestling.student.config import conv_student
from nestling.student.losses import distillation_loss, soft_divergence
from nestling.student.network import NestedStudent
from nestling.student.sandwich import TEMPERATURE, recalibrate
from nestling_cloud.nesting import (
    TEACHER_WEIGHT,
    VIEWS,
    Joint,
    NestingError,
    make_views,
    sandwich_loss,
    train_nested,
)
from nestling_cloud.progress import Silent
from nestling_cloud.tasks import Signature, Task
from nestling_cloud.training import seeded

SANDWICH = Joint(every_capacity=False, teacher_share=0.0)
SIGNATURE = Signature(shape=[2, 16], classes=["a", "b", "c"])


def student_of(*fractions: float) -> NestedStudent:
    torch.manual_seed(0)
    config = conv_student(channels=(8, 8), strides=(2, 1), fractions=fractions)
    return NestedStudent(SIGNATURE, config).eval()  # running statistics: each run alike


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(6, 2, 16, generator=generator),
        torch.randn(6, 3, generator=generator),
        torch.randint(3, (6,), generator=generator),
    )


def trained_capacities(student: NestedStudent, seed: int, joint: Joint | None = None) -> list[int]:
    """Run one sandwich and return the capacities that it ran, in order."""
    ran: list[int] = []
    hook = student.register_forward_pre_hook(lambda _, given: ran.append(given[1]))
    sandwich_loss(
        student, *batch(), generator=torch.Generator().manual_seed(seed), joint=joint or SANDWICH
    )
    hook.remove()
    return ran


def test_sandwich_is_largest_on_the_teacher_and_smaller_ones_on_the_largest() -> None:
    student = student_of(0.25, 0.5, 1.0)
    inputs, teacher, labels = batch()
    largest = student(inputs, 3)

    loss = sandwich_loss(
        student, inputs, teacher, labels, generator=torch.Generator(), joint=SANDWICH
    )

    expected = (
        distillation_loss(largest, teacher, labels, temperature=TEMPERATURE, weight=TEACHER_WEIGHT)
        + soft_divergence(student(inputs, 1), largest, TEMPERATURE)
        + soft_divergence(student(inputs, 2), largest, TEMPERATURE)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_smaller_capacities_do_not_pull_the_largest_towards_themselves() -> None:
    student = student_of(0.5, 1.0)
    inputs, teacher, labels = batch()
    alone = distillation_loss(
        student(inputs, 2), teacher, labels, temperature=TEMPERATURE, weight=TEACHER_WEIGHT
    )
    (expected,) = torch.autograd.grad(alone, student.head_offsets)

    loss = sandwich_loss(
        student, inputs, teacher, labels, generator=torch.Generator(), joint=SANDWICH
    )
    (gradient,) = torch.autograd.grad(loss, student.head_offsets)

    assert torch.allclose(gradient[1], expected[1], atol=1e-6)
    assert gradient[0].abs().max() > 0  # while the smaller one learns


@pytest.mark.parametrize(
    ("fractions", "expected"), [((1.0,), [1]), ((0.5, 1.0), [2, 1]), ((0.2, 0.5, 1.0), [3, 1, 2])]
)
def test_every_step_trains_the_largest_and_the_smallest(
    fractions: tuple[float, ...], expected: list[int]
) -> None:
    assert expected == trained_capacities(student_of(*fractions), seed=0)


def test_capacities_in_between_take_turns_at_random() -> None:
    student = student_of(0.2, 0.4, 0.6, 0.8, 1.0)

    sandwiches = [trained_capacities(student, seed) for seed in range(40)]

    assert all(ran[:2] == [5, 1] and len(ran) == 3 for ran in sandwiches)
    assert {ran[2] for ran in sandwiches} == {2, 3, 4}


def test_every_capacity_learns_in_each_step_where_asked() -> None:
    student = student_of(0.2, 0.4, 0.6, 0.8, 1.0)

    assert trained_capacities(student, 0, Joint(every_capacity=True)) == [5, 1, 2, 3, 4]


def test_smaller_capacities_learn_from_teacher_and_largest_by_share() -> None:
    student = student_of(0.5, 1.0)
    inputs, teacher, labels = batch()
    small, large = student(inputs, 1), student(inputs, 2)

    loss = sandwich_loss(
        student,
        inputs,
        teacher,
        labels,
        generator=torch.Generator(),
        joint=Joint(every_capacity=True, teacher_share=0.25),
    )

    taught, alone = (
        distillation_loss(x, teacher, labels, temperature=TEMPERATURE, weight=TEACHER_WEIGHT)
        for x in (small, large)
    )
    expected = alone + 0.25 * taught + 0.75 * soft_divergence(small, large, TEMPERATURE)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_share_of_the_teacher_beyond_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(NestingError, match="teacher_share"):
        Joint(teacher_share=share)


def test_teacher_answers_every_augmented_copy() -> None:
    teacher = TinyTeacher(TINY_TASK.signature)
    examples = tiny_splits().train

    views = make_views(_jittered(), teacher, examples, torch.Generator().manual_seed(0))

    assert views.inputs.shape == (VIEWS, len(examples), 2, 16)
    assert not torch.equal(views.inputs[0], views.inputs[1])
    with torch.no_grad():
        assert torch.allclose(teacher(views.inputs[1]), views.logits[1], atol=1e-5)


def _jittered() -> Task:
    def augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return inputs + 0.1 * torch.randn(inputs.shape, generator=generator)

    fields = {name: getattr(TINY_TASK, name) for name in ("name", "signature", "load", "student")}
    return Task(**fields, augment=augment)


@pytest.mark.parametrize("count", [300, 1024, 1025])
@torch.no_grad()
def test_recalibration_measures_every_capacity_on_all_inputs_without_lag(count: int) -> None:
    student = student_of(0.5, 1.0)
    generator = torch.Generator().manual_seed(2)
    inputs = 5 + 3 * torch.randn(count, 2, 16, generator=generator)

    recalibrate(student, inputs)

    measured = inputs[: count // 512 * 512 or count]  # one input left over has no variance
    for capacity in (1, 2):
        first = student.convolutions[0]
        before = first.convolve(measured, first.plan.widths[capacity - 1], first.weight)
        norm = first.norm(capacity)
        assert torch.allclose(norm.running_mean, before.mean((0, 2)), rtol=1e-3, atol=1e-3)
        assert torch.allclose(norm.running_var, before.var((0, 2)), rtol=0.02)
    assert not student.training


@torch.no_grad()
def test_recalibration_forgets_the_running_averages_of_training() -> None:
    inputs = batch()[0]
    fresh, worn = student_of(0.5, 1.0), student_of(0.5, 1.0)
    for norm in [*worn.norms(1), *worn.norms(2)]:
        for statistic in norm.buffers():
            statistic.fill_(123.0)

    recalibrate(fresh, inputs)
    recalibrate(worn, inputs)

    assert torch.equal(fresh(inputs, 1), worn(inputs, 1))
    assert torch.equal(fresh(inputs, 2), worn(inputs, 2))


def train_tiny(seed: int) -> NestedStudent:
    generator = seeded(seed)
    examples = tiny_splits().train
    teacher = _perfect_teacher()
    views = make_views(TINY_TASK, teacher, examples, generator)
    return train_nested(TINY_TASK, views, examples.inputs, generator, Silent())


def _perfect_teacher() -> nn.Module:
    """A teacher that matches the three pitches' own waves."""
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
def test_every_capacity_learns_and_the_largest_best(tiny_student: NestedStudent) -> None:
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
