"""Defines the loss by which a nested student's largest capacity (size) learns from a teacher."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, Batch
from nestling_cloud.learning.distillation.losses import (
    Regressor,
    angular_loss,
    attention_loss,
    attention_map,
    hint_loss,
)
from nestling_cloud.learning.distillation.view_tensors import MOST_IN_MEMORY, ViewTensors
from nestling_cloud.learning.kind_losses import student_loss
from nestling_cloud.recipes.distillation import Distillation
from nestling_core.student.network import NestedStudent


class Objective(Protocol):
    """The interface of a loss by which a nested student learns from a teacher."""

    def __call__(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, batch: Batch, /
    ) -> torch.Tensor:
        """Return the loss of the largest capacity, a scalar.

        Args:
            features: the output of every layer, followed by the pooled features, as returned by
                `NestedStudent.features`.
            logits: the outputs of the largest capacity, (N, O).
            batch: the inputs, their labels and the teacher's answers.
        """
        ...

    def answer(self, logits: torch.Tensor, batch: Batch, /) -> torch.Tensor:
        """Return the part of the loss that depends only on answers and labels.

        The smaller capacities use this part too.

        Args:
            logits: the outputs of a capacity, (N, O).
            batch: the inputs, their labels and the teacher's answers.
        """
        ...


def answer_loss(logits: torch.Tensor, batch: Batch, distillation: Distillation) -> torch.Tensor:
    """Return the loss on the labels and, if the teacher is used, on the teacher's answers.

    Args:
        logits: the outputs of the network that learns, (N, O).
        batch: the inputs, their labels and the teacher's answers.
        distillation: the temperature, and the weight of the teacher's answers relative to the
            labels.
    """
    return student_loss(
        batch.kind,
        logits,
        batch.labels,
        batch.logits,
        temperature=distillation.temperature,
        weight=distillation.weight,
    )


class TeacherObjective(nn.Module):
    """A loss on the labels, on the teacher's answers and on the teacher's features.

    The options of the augmented views set the weight of each part. The loss may have its own
    parameters, which are needed only during training.
    """

    def __init__(self, student: NestedStudent, views: AugmentedViews) -> None:
        """Build the loss for a student.

        If the loss needs a regressor to compare features, the regressor's initial weights come from
        torch's global random generator.

        Args:
            student: the nested student to train.
            views: the augmented inputs with the teacher's answers.
        """
        super().__init__()
        self._distillation = views.distillation
        self._unit: float | torch.Tensor = 1.0
        self._center: float | torch.Tensor = 0.0
        self._regressor: nn.Module = nn.Identity()
        if views.features is not None:
            self._follow(student.stack[-1].plan.channels(student.config.capacities), views.features)

    def _follow(self, channels: int, features: ViewTensors) -> None:
        """Set up the regressor and the scale or center for comparing features with the teacher's.

        Args:
            channels: the number of channels of the student's last layer at the largest capacity.
            features: the teacher's features, (V, N, C, ...).
        """
        if self._distillation.feature == "attention":
            return
        # Even at equal widths: a nest's first channels need not correspond to the teacher's.
        self._regressor = Regressor(channels, features.shape[2])
        count = max(1, MOST_IN_MEMORY // (4 * math.prod(features.shape[2:])))
        first = features[0][:count].float()
        if self._distillation.feature == "hints":  # so that a weight suits every teacher
            self._unit = first.square().mean().sqrt().clamp_min(1e-6)
        else:  # embeddings after a ReLU all point the same way unless they are centered
            self._center = first.mean(0)

    def forward(
        self, features: Sequence[torch.Tensor], logits: torch.Tensor, batch: Batch
    ) -> torch.Tensor:
        """Return the loss of the largest capacity; see `Objective.__call__`."""
        loss = self.answer(logits, batch)
        if batch.features is None:
            return loss
        feature_loss = self._feature_loss(features, batch.features.float())
        return loss + self._distillation.feature_weight * feature_loss

    def answer(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the part of the loss on answers and labels; see `Objective.answer`."""
        return answer_loss(logits, batch, self._distillation)

    def _feature_loss(
        self, features: Sequence[torch.Tensor], teacher: torch.Tensor
    ) -> torch.Tensor:
        *_, last, pooled = features
        match self._distillation.feature:
            case "hints":
                return hint_loss(self._regressor(last), teacher / _on(teacher, self._unit))
            case "attention":
                return attention_loss(attention_map(last), teacher)
            case _:
                return angular_loss(self._regressor(pooled), teacher - _on(teacher, self._center))


def _on(features: torch.Tensor, value: float | torch.Tensor) -> float | torch.Tensor:
    """Return a value on the device of the features."""
    return value.to(features.device) if isinstance(value, torch.Tensor) else value
