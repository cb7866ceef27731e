import dataclasses

import pytest
import torch

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, make_views
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.nesting import train_nested
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.distillation import BY_LOGITS, Distillation, Feature
from nestling_cloud.tasks import Recipe
from tests.support.tiny_task import TINY_TASK, TinyTeacher, tiny_splits


def jitter(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return inputs + 0.1 * torch.randn(inputs.shape, generator=generator)


JITTERED = dataclasses.replace(TINY_TASK, augment=jitter, student_recipe=Recipe(epochs=2, batch=64))
EXAMPLES = tiny_splits().train


class CountingTeacher(TinyTeacher):
    """Counts the inputs that it answers."""

    asked = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.asked += len(x)
        return super().forward(x)


def views_of(teacher: TinyTeacher, distillation: Distillation, seed: int = 0) -> AugmentedViews:
    generator = torch.Generator().manual_seed(seed)
    return make_views(JITTERED, teacher, EXAMPLES, generator, distillation)


def test_teacher_answers_every_augmented_copy() -> None:
    teacher = TinyTeacher(TINY_TASK.signature)

    views = views_of(teacher, Distillation())

    assert views.inputs.shape == (BY_LOGITS.views, len(EXAMPLES), 2, 16)
    assert not torch.equal(views.inputs[0][:], views.inputs[1][:])
    assert views.logits is not None
    with torch.no_grad():
        assert torch.allclose(teacher(views.inputs[1][:]), views.logits[1], atol=1e-5)


@pytest.mark.parametrize("feature", ["none", "hints", "attention", "angular"])
def test_teacher_runs_once_per_copy_and_never_during_training(feature: Feature) -> None:
    teacher = CountingTeacher(TINY_TASK.signature)
    generator = seeded(0)

    views = make_views(JITTERED, teacher, EXAMPLES, generator, Distillation(feature=feature))
    before = teacher.asked
    train_nested(JITTERED, views, EXAMPLES.inputs, generator, SilentProgress())

    assert (before, teacher.asked) == (
        BY_LOGITS.views * len(EXAMPLES),
        BY_LOGITS.views * len(EXAMPLES),
    )


def test_teacher_of_weight_zero_is_not_run() -> None:
    teacher = CountingTeacher(TINY_TASK.signature)

    views = views_of(teacher, Distillation(weight=0.0))

    assert teacher.asked == 0
    assert views.logits is None
    assert views.features is None


@pytest.mark.parametrize(
    ("feature", "shape"),
    [("hints", (8, 16)), ("attention", (1, 16)), ("angular", (8,))],
)
def test_only_the_chosen_feature_is_kept(feature: Feature, shape: tuple[int, ...]) -> None:
    views = views_of(TinyTeacher(TINY_TASK.signature), Distillation(feature=feature))

    assert views.features is not None
    assert views.features.shape == (BY_LOGITS.views, len(EXAMPLES), *shape)


def test_epochs_cycle_through_the_views() -> None:
    views = views_of(TinyTeacher(TINY_TASK.signature), Distillation(feature="angular"))
    indices = torch.tensor([5, 3])
    assert views.logits is not None
    assert views.features is not None

    batch = views.batch(BY_LOGITS.views + 2, indices)

    assert batch.logits is not None
    assert batch.features is not None
    assert torch.equal(batch.inputs, views.inputs[2][indices])
    assert torch.equal(batch.labels, views.labels[[5, 3]])
    assert torch.equal(batch.logits, views.logits[2][[5, 3]])
    assert torch.equal(batch.features, views.features[2][indices])


def test_same_seed_gives_the_same_copies() -> None:
    teacher = TinyTeacher(TINY_TASK.signature)

    first, again, other = (views_of(teacher, Distillation(), seed) for seed in (0, 0, 1))

    assert torch.equal(first.inputs[1][:], again.inputs[1][:])
    assert not torch.equal(first.inputs[1][:], other.inputs[1][:])
