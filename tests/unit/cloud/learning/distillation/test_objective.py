import dataclasses

import pytest
import torch
from torch.nn import functional

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, Batch, make_views
from nestling_cloud.learning.distillation.losses import (
    Regressor,
    angular_loss,
    attention_loss,
    attention_map,
    hint_loss,
)
from nestling_cloud.learning.distillation.objective import TeacherObjective
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting import train_nested
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.distillation import Distillation, Feature
from nestling_cloud.tasks import Recipe, Signature
from nestling_core.student.losses import distillation_loss
from nestling_core.student.network import NestedStudent
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits

SHORT_TASK = dataclasses.replace(TINY_TASK, student_recipe=Recipe(epochs=2, batch=64))
EXAMPLES = tiny_splits().train
LARGEST = 3
FEATURES: list[Feature] = ["hints", "attention", "angular"]


class WideTeacher(TinyTeacher):
    """Has more channels than the student."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(signature)
        self.conv = torch.nn.Conv1d(2, 11, 5, padding=2)
        self.head = torch.nn.Linear(11, 3)


def views_of(
    distillation: Distillation, teacher: type[TinyTeacher] = TinyTeacher
) -> AugmentedViews:
    torch.manual_seed(1)
    network = teacher(TINY_TASK.signature)
    generator = torch.Generator().manual_seed(0)
    return make_views(TINY_TASK, network, EXAMPLES, generator, distillation)


def student() -> NestedStudent:
    torch.manual_seed(0)
    return NestedStudent(TINY_TASK.signature, TINY_TASK.student).eval()


def first_batch(views: AugmentedViews) -> Batch:
    return views.batch(0, torch.arange(16))


def loss_of(network: NestedStudent, objective: TeacherObjective, batch: Batch) -> torch.Tensor:
    features = network.features(batch.inputs, LARGEST)
    loss: torch.Tensor = objective(features, network.classify(features[-1], LARGEST), batch)
    return loss


def test_weight_of_zero_uses_only_the_labels() -> None:
    network, views = student(), views_of(Distillation(weight=0.0))
    batch = first_batch(views)

    loss = loss_of(network, TeacherObjective(network, views), batch)

    expected = functional.cross_entropy(network(batch.inputs, LARGEST), batch.labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_teacher_answers_use_the_chosen_temperature_and_weight() -> None:
    network, views = student(), views_of(Distillation(temperature=5.0, weight=0.3))
    batch = first_batch(views)

    loss = loss_of(network, TeacherObjective(network, views), batch)

    assert batch.logits is not None
    expected = distillation_loss(
        network(batch.inputs, LARGEST), batch.logits, batch.labels, temperature=5.0, weight=0.3
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("feature", FEATURES)
def test_feature_loss_is_added_with_its_weight(feature: Feature) -> None:
    network = student()
    views = views_of(Distillation(feature=feature, feature_weight=3.0))
    batch = first_batch(views)
    objective = TeacherObjective(network, views)

    loss = loss_of(network, objective, batch)

    plain = Batch(inputs=batch.inputs, labels=batch.labels, logits=batch.logits)
    assert batch.features is not None
    assert views.features is not None
    *_, last, pooled = network.features(batch.inputs, LARGEST)
    teacher = batch.features.float()
    if feature == "hints":
        unit = views.features[0][:].float().square().mean().sqrt()
        feature_loss = hint_loss(objective._regressor(last), teacher / unit)
    elif feature == "attention":
        feature_loss = attention_loss(attention_map(last), teacher)
    else:
        center = views.features[0][:].float().mean(0)
        feature_loss = angular_loss(objective._regressor(pooled), teacher - center)
    expected = loss_of(network, objective, plain) + 3.0 * feature_loss
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("feature", "teacher", "regressed"),
    [
        ("hints", TinyTeacher, True),
        ("hints", WideTeacher, True),
        ("attention", WideTeacher, False),
        ("angular", TinyTeacher, True),
        ("angular", WideTeacher, True),
    ],
)
def test_regressor_exists_only_where_needed_and_learns(
    feature: Feature, teacher: type[TinyTeacher], regressed: bool
) -> None:
    network, views = student(), views_of(Distillation(feature=feature), teacher)
    objective = TeacherObjective(network, views)

    loss_of(network, objective, first_batch(views)).backward()  # type: ignore[no-untyped-call]

    assert isinstance(objective._regressor, Regressor) == regressed
    parameters = list(objective.parameters())
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in parameters)
    assert network.convolutions[0].weight.grad is not None


def test_unit_of_hints_does_not_depend_on_the_teachers_scale() -> None:
    losses = []
    for scale in (1.0, 1000.0):
        views = views_of(Distillation(weight=0.0, feature="hints"))
        assert views.features is not None
        for view, copy in enumerate(views.features):
            views.features.put(view, 0, copy[:] * scale)
        network = student()
        losses.append(loss_of(network, TeacherObjective(network, views), first_batch(views)).item())

    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.parametrize("feature", FEATURES)
def test_minimizing_the_loss_makes_the_student_resemble_its_teacher(feature: Feature) -> None:
    network = student().train()
    views = views_of(Distillation(weight=0.0, feature=feature, feature_weight=10.0), WideTeacher)
    objective, batch = TeacherObjective(network, views), first_batch(views)
    optimizer = torch.optim.Adam([*network.parameters(), *objective.parameters()], lr=0.01)
    losses = []

    for _ in range(60):
        loss = loss_of(network, objective, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(feature_loss_of(network, objective, batch))

    assert losses[-1] < 0.5 * losses[0]


@torch.no_grad()
def feature_loss_of(network: NestedStudent, objective: TeacherObjective, batch: Batch) -> float:
    plain = Batch(inputs=batch.inputs, labels=batch.labels, logits=batch.logits)
    return (loss_of(network, objective, batch) - loss_of(network, objective, plain)).item()


@pytest.mark.parametrize("feature", ["none", *FEATURES])
def test_same_seed_gives_the_same_student_without_a_trace_of_the_regressor(
    feature: Feature,
) -> None:
    states = []
    for seed in (0, 0, 1):
        generator = seeded(seed)
        views = views_of(Distillation(feature=feature), WideTeacher)
        torch.manual_seed(seed)
        trained = train_nested(SHORT_TASK, views, EXAMPLES.inputs, generator, SilentProgress())
        states.append(trained.state_dict())

    first, again, other = states
    assert set(student().state_dict()) == set(first)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head"], other["head"])
