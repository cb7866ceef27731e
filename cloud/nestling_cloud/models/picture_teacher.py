"""Defines a teacher for images, a short residual network."""

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.output_layer import OutputLayer
from nestling_core.student.normalizer import Normalizer


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 3 x 3 convolution with a batch normalization and a ReLU.

    Args:
        inputs: the number of input channels.
        outputs: the number of output channels.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Residual(nn.Module):
    """Two convolutions whose output is added to their input (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        """Create the convolutions for a number of channels."""
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), convolution(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the block, (N, C, H, W) -> (N, C, H, W)."""
        output: torch.Tensor = x + self.body(x)
        return output


class PictureTeacher(nn.Module):
    """Answers images (N, C, H, W) with outputs (N, O), for example logits.

    The network is a short ResNet-9 (Page 2018, "How to train your ResNet"). It halves the
    resolution twice. A linear layer computes the outputs from the maximum of each feature over the
    image.

    Args:
        signature: the input shape and the kind of the task.
        width: the number of channels of the first layer; the last layer has four times as many.
        dropout: the probability that a pooled feature is set to 0 in training.
    """

    channels_last = True  # this memory format trains faster

    def __init__(self, signature: Signature, width: int = 32, dropout: float = 0.2) -> None:
        """Build an untrained network."""
        super().__init__()
        self.normalizer = Normalizer(signature.shape[0], 2)
        self.body = nn.Sequential(
            convolution(signature.shape[0], width),
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
        """Return the outputs (N, O) for inputs (N, C, H, W)."""
        features = self.body(self.normalizer(x)).amax((2, 3))
        outputs: torch.Tensor = self.head(self.dropout(features))
        return outputs
