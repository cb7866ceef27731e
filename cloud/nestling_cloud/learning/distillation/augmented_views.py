"""Make augmented copies of the training data, which the teacher answers once before training."""

from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.learning.distillation.features import answers_of
from nestling_cloud.learning.loop import precision
from nestling_cloud.recipes.distillation import BY_LOGITS, Distillation
from nestling_cloud.tasks.task import Examples, Task


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The data of one training step.

    Attributes:
        inputs: (N, *shape).
        labels: (N,).
        logits: the teacher's, (N, classes); None if the teacher is not used.
        features: the teacher's, see `nestling_cloud.learning.distillation.features.Answers`; None
            without a loss on them.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None = None
    features: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class AugmentedViews:
    """Augmented copies of the training data with the teacher's answers to each.

    Attributes:
        distillation: what of the teacher is used.
        inputs: (V, N, *shape).
        labels: (N,).
        logits: the teacher's, (V, N, classes); None if the teacher is not used.
        features: the teacher's, (V, N, ...), in bfloat16; None without a loss on them.
    """

    distillation: Distillation
    inputs: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None
    features: torch.Tensor | None

    def batch(self, epoch: int, indices: torch.Tensor) -> Batch:
        """Return the chosen examples from the copy that is used in an epoch.

        Args:
            epoch: number of the epoch, from 0; copies take turns.
            indices: of the examples, (N,).
        """
        view = epoch % len(self.inputs)
        return Batch(
            inputs=self.inputs[view][indices],
            labels=self.labels[indices],
            logits=None if self.logits is None else self.logits[view][indices],
            features=None if self.features is None else self.features[view][indices],
        )


def make_views(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    generator: torch.Generator,
    distillation: Distillation = BY_LOGITS,
) -> AugmentedViews:
    """Augment the data several times and let the teacher, if it is used, answer each copy once.

    Args:
        task: provides the augmentation.
        teacher: trained.
        examples: data to augment.
        generator: for the augmentation.
        distillation: number of copies, and what of the teacher is used.

    Raises:
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
    """
    inputs = torch.from_numpy(examples.inputs)
    copies = [task.augment(inputs, generator) for _ in range(distillation.views)]
    asked = copies if distillation.asks_teacher else []
    with precision(task.student_recipe):
        answers = [answers_of(teacher, copy, distillation.feature) for copy in asked]
    features = [answer.features for answer in answers if answer.features is not None]
    return AugmentedViews(
        distillation=distillation,
        inputs=torch.stack(copies),
        labels=torch.from_numpy(examples.labels),
        logits=torch.stack([answer.logits for answer in answers]) if answers else None,
        features=torch.stack(features) if features else None,
    )
