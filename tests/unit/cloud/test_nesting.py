from collections.abc import Callable, Sequence

import pytest
import torch
from tests.tiny_task import TINY_TASK, tiny_splits
from torch import nn

from nestling.student.config import conv_student
from nestling.student.losses import soft_divergence
from nestling.student.network import NestedStudent
from nestling.student.sandwich import TEMPERATURE, recalibrate
from nestling_cloud.distillation import Batch, Distillation
from nestling_cloud.distillation.objective import answer_loss
from nestling_cloud.distillation.views import make_views
from nestling_cloud.nesting import Joint, NestingError, sandwich_loss, train_nested
from nestling_cloud.progress import Silent
from nestling_cloud.tasks import Signature
from nestling_cloud.training import seeded

SANDWICH = Joint(every_capacity=False, teacher_share=0.0)
SIGNATURE = Signature(shape=[2, 16], classes=["a", "b", "c"])


def student_of(*fractions: float) -> NestedStudent:
    torch.manual_seed(0)
    config = conv_student(channels=(8, 8), strides=(2, 1), fractions=fractions)
    return NestedStudent(SIGNATURE, config).eval()  # running statistics: each run alike


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        inputs=torch.randn(6, 2, 16, generator=generator),
        logits=torch.randn(6, 3, generator=generator),
        labels=torch.randint(3, (6,), generator=generator),
    )


class OnLogits:
    """Learns from labels and the teacher's answers, whatever the layers put out."""

    seen: Sequence[torch.Tensor] = ()

    def __call__(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, given: Batch, /
    ) -> torch.Tensor:
        self.seen = features
        return self.answer(logits, given)

    def answer(self, logits: torch.Tensor, given: Batch, /) -> torch.Tensor:
        return answer_loss(logits, given, Distillation(temperature=3.0, weight=0.4))


def loss_of(student: NestedStudent, joint: Joint | None = None, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sandwich_loss(student, OnLogits(), batch(), generator=generator, joint=joint or SANDWICH)


def trained_capacities(student: NestedStudent, seed: int, joint: Joint | None = None) -> list[int]:
    """Run one sandwich and return the capacities that it ran, in order."""
    ran: list[int] = []
    hook = student.stack[0].register_forward_pre_hook(lambda _, given: ran.append(given[1]))
    loss_of(student, joint, seed)
    hook.remove()
    return ran


def test_sandwich_is_largest_on_the_objective_and_smaller_ones_on_the_largest() -> None:
    student = student_of(0.25, 0.5, 1.0)
    inputs = batch().inputs
    largest = student(inputs, 3)

    loss = loss_of(student)

    expected = (
        OnLogits().answer(largest, batch())
        + soft_divergence(student(inputs, 1), largest, TEMPERATURE)
        + soft_divergence(student(inputs, 2), largest, TEMPERATURE)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_objective_sees_every_layer_of_the_largest_and_its_pooled_features() -> None:
    student = student_of(0.5, 1.0)
    objective = OnLogits()

    sandwich_loss(student, objective, batch(), generator=torch.Generator(), joint=SANDWICH)

    assert [tuple(each.shape) for each in objective.seen] == [(6, 8, 8), (6, 8, 8), (6, 8)]
    assert all(map(torch.equal, objective.seen, student.features(batch().inputs, 2)))


def test_smaller_capacities_do_not_pull_the_largest_towards_themselves() -> None:
    student = student_of(0.5, 1.0)
    alone = OnLogits().answer(student(batch().inputs, 2), batch())
    (expected,) = torch.autograd.grad(alone, student.head_offsets)

    loss = loss_of(student)
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
    small, large = (student(batch().inputs, capacity) for capacity in (1, 2))

    loss = loss_of(student, Joint(every_capacity=True, teacher_share=0.25))

    taught, alone = (OnLogits().answer(logits, batch()) for logits in (small, large))
    expected = alone + 0.25 * taught + 0.75 * soft_divergence(small, large, TEMPERATURE)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_share_of_the_teacher_beyond_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(NestingError, match="teacher_share"):
        Joint(teacher_share=share)


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
    inputs = batch().inputs
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
