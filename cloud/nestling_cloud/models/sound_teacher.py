"""Defines a teacher for sounds, a short residual network over log-mel features."""

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.output_layer import OutputLayer
from nestling_cloud.models.picture_teacher import Residual, convolution
from nestling_core.student.log_mel import LogMel
from nestling_core.student.normalizer import Normalizer


class SoundTeacher(nn.Module):
    """Answers sounds (N, 1, T) with outputs (N, O), for example logits.

    The network reads log-mel features as a picture, and halves both of its axes three times. A
    linear layer computes the outputs from the maximum of each feature over time and frequency.

    Args:
        signature: the input shape and the kind of the task.
        front_end: the sizes of the log-mel features, whose bands are not channels.
        width: the number of channels of the first layer; the last layers have four times as many.
        dropout: the probability that a pooled feature is set to 0 in training.

    Raises:
        SizesError: the front end does not suit the input shape.
    """

    channels_last = True  # this memory format trains faster

    def __init__(
        self, signature: Signature, front_end: LogMel, width: int = 24, dropout: float = 0.3
    ) -> None:
        """Build an untrained network."""
        super().__init__()
        channels, *axes = front_end.shape(signature.shape)
        self.normalizer = Normalizer(channels, len(axes), front_end)
        self.body = nn.Sequential(
            convolution(channels, width),
            nn.MaxPool2d(2),
            convolution(width, 2 * width),
            nn.MaxPool2d(2),
            Residual(2 * width),
            convolution(2 * width, 4 * width),
            nn.MaxPool2d(2),
            Residual(4 * width),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = OutputLayer(4 * width, signature)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, O) of sounds (N, 1, T)."""
        features = self.body(self.normalizer(x)).amax((2, 3))
        outputs: torch.Tensor = self.head(self.dropout(features))
        return outputs
