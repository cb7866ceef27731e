"""The loss of a nest's largest capacity in a training step."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, Batch
from nestling_cloud.learning.distillation.losses import (
    Regressor,
    angular_loss,
    attention_loss,
    attention_map,
    hint_loss,
)
from nestling_cloud.recipes.distillation import Distillation
from nestling_core.student.losses import distillation_loss
from nestling_core.student.network import NestedStudent


class Objective(Protocol):
    """A loss by which a nest learns from a teacher."""

    def __call__(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, batch: Batch, /
    ) -> torch.Tensor:
        """Compute the largest capacity's loss.

        Args:
            features: every layer's output, then the pooled ones: `NestedStudent.features`.
            logits: (N, classes).
            batch: the inputs of the features, their labels, and the teacher's answers.

        Returns:
            The loss, a scalar.
        """
        ...

    def answer(self, logits: torch.Tensor, batch: Batch, /) -> torch.Tensor:
        """Compute the part of the loss that smaller capacities share: answers and labels alone.

        Args:
            logits: (N, classes).
            batch: the inputs of the logits, their labels, and the teacher's answers.
        """
        ...


def answer_loss(logits: torch.Tensor, batch: Batch, distillation: Distillation) -> torch.Tensor:
    """Return the loss on labels and, if the teacher is used, on its answers.

    Args:
        logits: (N, classes).
        batch: the inputs of the logits, their labels, and the teacher's answers.
        distillation: temperature and weight of the teacher's answers.
    """
    if batch.logits is None:
        return functional.cross_entropy(logits, batch.labels)
    return distillation_loss(
        logits,
        batch.logits,
        batch.labels,
        temperature=distillation.temperature,
        weight=distillation.weight,
    )


class TeacherObjective(nn.Module):
    """A loss on labels, the teacher's answers and its features, as the views are configured.

    Train its parameters together with the student's; they are not needed afterwards.
    """

    def __init__(self, student: NestedStudent, views: AugmentedViews) -> None:
        """Draw the regressor, if there is one, from torch's global generator.

        Args:
            student: the nest to train.
            views: augmented inputs with the teacher's answers.
        """
        super().__init__()
        self._distillation = views.distillation
        self._unit: float | torch.Tensor = 1.0
        self._center: float | torch.Tensor = 0.0
        self._regressor: nn.Module = nn.Identity()
        if views.features is not None:
            self._follow(student.stack[-1].plan.channels(student.config.capacities), views.features)

    def _follow(self, channels: int, features: torch.Tensor) -> None:
        """Fit the regressor to the student's channels and the teacher's (VIEWS, N, C, ...)."""
        if self._distillation.feature == "attention":
            return
        # Even at equal widths: a nest's first channels need not correspond to the teacher's.
        self._regressor = Regressor(channels, features.shape[2])
        first = features[0].float()
        if self._distillation.feature == "hints":  # so that a weight suits every teacher
            self._unit = first.square().mean().sqrt().clamp_min(1e-6)
        else:  # embeddings after a ReLU all point the same way unless they are centered
            self._center = first.mean(0)

    def forward(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, batch: Batch
    ) -> torch.Tensor:
        """See `Objective`."""
        loss = self.answer(logits, batch)
        if batch.features is None:
            return loss
        feature_loss = self._feature_loss(features, batch.features.float())
        return loss + self._distillation.feature_weight * feature_loss

    def answer(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """See `Objective`."""
        return answer_loss(logits, batch, self._distillation)

    def _feature_loss(
        self, features: Sequence[torch.Tensor], teacher: torch.Tensor
    ) -> torch.Tensor:
        *_, last, pooled = features
        match self._distillation.feature:
            case "hints":
                return hint_loss(self._regressor(last), teacher / self._unit)
            case "attention":
                return attention_loss(attention_map(last), teacher)
            case _:
                return angular_loss(self._regressor(pooled), teacher - self._center)
