"""What the largest capacity of a nest learns in a step."""

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
    """What a nest learns from a teacher."""

    def __call__(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, batch: Batch, /
    ) -> torch.Tensor:
        """Hold what the student makes of a batch against what it should.

        Args:
            features: every layer's output, then the pooled ones: `NestedStudent.features`.
            logits: (N, classes).
            batch: the inputs that they are of, labels, and the teacher's word.

        Returns:
            A scalar, the largest capacity's loss.
        """
        ...

    def answer(self, logits: torch.Tensor, batch: Batch, /) -> torch.Tensor:
        """The part of the loss that a smaller capacity can have too: answers and labels alone."""
        ...


def answer_loss(logits: torch.Tensor, batch: Batch, distillation: Distillation) -> torch.Tensor:
    """Labels and the teacher's answers, if it was asked: see `Distillation`."""
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
    """Labels, the teacher's answers, and what happens inside it, as the views' configuration says.

    Train its parameters with the student's, and leave it behind afterwards.
    """

    def __init__(self, student: NestedStudent, views: AugmentedViews) -> None:
        """Draw the regressor, if there is one, from torch's global generator."""
        super().__init__()
        self._distillation = views.distillation
        self._unit: float | torch.Tensor = 1.0
        self._centre: float | torch.Tensor = 0.0
        self._regressor: nn.Module = nn.Identity()
        if views.features is not None:
            self._follow(student.stack[-1].plan.channels(student.config.capacities), views.features)

    def _follow(self, channels: int, features: torch.Tensor) -> None:
        """Fit the regressor to the student's channels and the teacher's (VIEWS, N, C, ...)."""
        if self._distillation.feature == "attention":
            return
        # At equal widths too: a nest's first channels need not be the teacher's first.
        self._regressor = Regressor(channels, features.shape[2])
        first = features[0].float()
        if self._distillation.feature == "hints":  # a weight then means the same for every teacher
            self._unit = first.square().mean().sqrt().clamp_min(1e-6)
        else:  # rectified embeddings all point one way; from their mean they do not
            self._centre = first.mean(0)

    def forward(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, batch: Batch
    ) -> torch.Tensor:
        """See `Objective`."""
        loss = self.answer(logits, batch)
        if batch.features is None:
            return loss
        likeness = self._feature_loss(features, batch.features.float())
        return loss + self._distillation.feature_weight * likeness

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
                return angular_loss(self._regressor(pooled), teacher - self._centre)
