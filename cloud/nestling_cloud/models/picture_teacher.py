"""Defines a teacher for images, a short residual network."""

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.log_mel import LogMel
from nestling_core.student.normalizer import Normalizer


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _Residual(nn.Module):
    """Two convolutions whose output is added to their input (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels), _convolution(channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = x + self.body(x)
        return output


class PictureTeacher(nn.Module):
    """Classifies images (N, C, H, W), or sounds by their features, and returns logits (N, classes).

    The network is a short ResNet-9 (Page 2018, "How to train your ResNet"). It halves the
    resolution twice. A linear layer computes the logits from the maximum of each feature over the
    image.

    Args:
        signature: the input shape and the classes of the task.
        width: the number of channels of the first layer; the last layer has four times as many.
        dropout: the probability that a pooled feature is set to 0 in training.
        front_end: what turns sounds (N, 1, T) into pictures of their features; None for images.

    Raises:
        SizesError: the front end does not suit the input shape.
    """

    channels_last = True  # this memory format trains faster

    def __init__(
        self,
        signature: Signature,
        width: int = 32,
        dropout: float = 0.2,
        front_end: LogMel | None = None,
    ) -> None:
        """Build an untrained network."""
        super().__init__()
        channels, *_ = front_end.shape(signature.shape) if front_end else signature.shape
        self.normalizer = Normalizer(channels, 2, front_end)
        self.body = nn.Sequential(
            _convolution(channels, width),
            _convolution(width, 2 * width),
            nn.MaxPool2d(2),
            _Residual(2 * width),
            _convolution(2 * width, 4 * width),
            nn.MaxPool2d(2),
            _Residual(4 * width),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width, len(signature.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, classes) of inputs (N, *shape)."""
        features = self.body(self.normalizer(x)).amax((2, 3))
        logits: torch.Tensor = self.head(self.dropout(features))
        return logits
