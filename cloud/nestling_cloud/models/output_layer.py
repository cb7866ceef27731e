"""Defines the last layer of the built-in teachers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_core.kinds.of_signature import kind_of
from nestling_core.kinds.regression import Regression
from nestling_core.student.output_scale import OutputScale


class OutputLayer(nn.Linear):
    """A linear layer with as many outputs as the kind of the task asks of a teacher.

    In a regression task, the outputs are scaled to the units of the values.

    Args:
        features: the number of features, F.
        signature: the kind of the task.
        factor: the number by which the outputs are multiplied. With a small one, the first steps of
            a training with a high learning rate are calmer.
    """

    def __init__(self, features: int, signature: Signature, factor: float = 1.0) -> None:
        """Build an untrained layer."""
        kind = kind_of(signature)
        super().__init__(features, kind.teacher_outputs)
        self.factor = factor
        self.scale = OutputScale(kind.teacher_outputs) if isinstance(kind, Regression) else None

    def fit(self, labels: NDArray[np.generic]) -> None:
        """Set the scale of the values, if there is one, to that of training labels, (N, ...)."""
        if self.scale is not None:
            self.scale.fit(np.asarray(labels, np.float32))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, O) for features (N, F)."""
        outputs = self.factor * super().forward(features)
        return outputs if self.scale is None else self.scale(outputs.float())
