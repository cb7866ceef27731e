"""Defines the default teacher of anomaly tasks, which reconstructs normal inputs."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.anomaly_scorer import AnomalyScorer
from nestling_core.student.log_mel import LogMel
from nestling_core.student.normalizer import Normalizer

_CONV = (nn.Conv1d, nn.Conv2d)
_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)
_SMALLEST_ERROR = 1e-6


class AnomalyTeacher(AnomalyScorer):
    """Scores inputs (N, C, ...) by how badly an autoencoder reconstructs them.

    The autoencoder learns normal inputs only, so that it fails on what differs from them (Sakurada
    & Yairi 2014). The mean squared error of each channel is divided by its mean on the training
    data. The score is the mean of these ratios over the channels, divided by a threshold.

    Args:
        signature: the input shape of the task.
        width: the number of channels of the first layer; the code has half as many.
        front_end: what turns sounds (N, 1, T) into the features that are reconstructed; None if the
            input itself is.
    """

    def __init__(
        self, signature: Signature, width: int = 32, front_end: LogMel | None = None
    ) -> None:
        """Build an untrained network.

        Raises:
            ValueError: the input shape does not have one or two axes after the channels.
            SizesError: the front end does not suit the input shape.
        """
        super().__init__()
        channels, *axes = front_end.shape(signature.shape) if front_end else signature.shape
        dims = len(axes)
        if dims not in (1, 2):
            raise ValueError(
                f"the input shape must be channels and one or two more axes, not {signature.shape}"
            )
        kernel = 5 if dims == 1 else 3
        self.axes = tuple(axes)
        self.normalizer = Normalizer(channels, dims, front_end)
        code = max(2, width // 2)
        self.encoder = nn.Sequential(
            _layer(dims, channels, width, kernel, 2),
            _layer(dims, width, width, kernel, 2),
            _layer(dims, width, code, kernel, 2),
        )
        self.decoder = nn.ModuleList(
            [
                _layer(dims, code, width, kernel, 1),
                _layer(dims, width, width, kernel, 1),
                _CONV[dims - 1](width, channels, kernel, 1, kernel // 2),
            ]
        )
        self.usual = nn.Buffer(torch.ones(channels))

    def training_loss(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error of the reconstructed normal inputs, a scalar.

        Args:
            inputs: the inputs, (N, C, ...).
            labels: 0 for a normal input and 1 for an anomaly, (N,).
        """
        normal = self.normalizer(inputs[labels == 0])
        if len(normal) < 2:  # nothing to learn from, and no statistics for the normalization
            return sum((weight.sum() * 0 for weight in self.parameters()), torch.zeros(()))
        return functional.mse_loss(self._reconstructed(normal), normal)

    @torch.no_grad()
    def fit_usual_errors(self, batches: Iterable[torch.Tensor]) -> None:
        """Measure the usual error of each channel.

        Args:
            batches: normal training inputs, in batches (N, C, ...).
        """
        errors = torch.cat([self._errors(batch) for batch in batches])
        self.usual.copy_(errors.mean(0).clamp_min(_SMALLEST_ERROR))

    def log_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the mean squared error of each reconstruction, (N, 1).

        The error of each channel is divided by its mean on the training data.

        Args:
            x: the inputs, (N, C, ...).
        """
        relative = self._errors(x) / self.usual
        return torch.log(relative.mean(1, keepdim=True) + _SMALLEST_ERROR)

    def _errors(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error of each channel, (N, C)."""
        normal = self.normalizer(x)
        errors: torch.Tensor = (self._reconstructed(normal) - normal).square().flatten(2).mean(2)
        return errors

    def _reconstructed(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder(x)
        for step, layer in enumerate(self.decoder):
            size = [math.ceil(axis / 2 ** (len(self.decoder) - 1 - step)) for axis in self.axes]
            x = layer(functional.interpolate(x, size=size, mode="nearest"))
        return x


def _layer(dims: int, inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _CONV[dims - 1](inputs, outputs, kernel, stride, kernel // 2, bias=False),
        _NORM[dims - 1](outputs),
        nn.ReLU(),
    )
