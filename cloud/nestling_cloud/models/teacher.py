"""Defines the default teacher, a residual convolutional network over one or two axes."""

import torch
from torch import nn
from torch.nn import functional

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.output_layer import OutputLayer
from nestling_core.student.log_mel import LogMel
from nestling_core.student.normalizer import Normalizer

_CONV = (nn.Conv1d, nn.Conv2d)
_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)


class _Residual(nn.Module):
    """Two convolutions whose output is added to a projection of their input (He et al. 2016)."""

    def __init__(self, dims: int, inputs: int, outputs: int, stride: int, kernel: int) -> None:
        super().__init__()
        conv, norm = _CONV[dims - 1], _NORM[dims - 1]
        pad = kernel // 2
        self.body = nn.Sequential(
            conv(inputs, outputs, kernel, stride, pad, bias=False),
            norm(outputs),
            nn.ReLU(),
            conv(outputs, outputs, kernel, 1, pad, bias=False),
            norm(outputs),
        )
        self.shortcut = nn.Sequential(
            conv(inputs, outputs, 1, stride, bias=False),
            norm(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class ConvTeacher(nn.Module):
    """Answers windows (N, C, T), images (N, C, H, W) or sounds with outputs (N, O), such as logits.

    Args:
        signature: the input shape and the kind of the task.
        width: the number of channels of the first layers; the last layers have twice as many.
        dropout: the probability that a pooled feature is set to 0 in training.
        front_end: what turns sounds (N, 1, T) into the features that the layers read; None if they
            read the input itself.

    Raises:
        ValueError: the input shape does not have one or two axes after the channels.
        SizesError: the front end does not suit the input shape.
    """

    channels_last = True  # this memory format trains faster

    def __init__(
        self,
        signature: Signature,
        width: int = 32,
        dropout: float = 0.3,
        front_end: LogMel | None = None,
    ) -> None:
        """Build an untrained network."""
        super().__init__()
        channels, *axes = front_end.shape(signature.shape) if front_end else signature.shape
        dims = len(axes)
        if dims not in (1, 2):
            raise ValueError(
                f"the input shape must be channels and one or two more axes, not {signature.shape}"
            )
        kernel = 5 if dims == 1 else 3
        self.normalizer = Normalizer(channels, dims, front_end)
        self.body = nn.Sequential(
            _CONV[dims - 1](channels, width, kernel, 1, kernel // 2, bias=False),
            _NORM[dims - 1](width),
            nn.ReLU(),
            _Residual(dims, width, width, 2, kernel),
            _Residual(dims, width, 2 * width, 2, kernel),
            _Residual(dims, 2 * width, 2 * width, 2, kernel),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = OutputLayer(2 * width, signature)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, O) for inputs (N, *shape)."""
        features = self.body(self.normalizer(x)).flatten(2).mean(2)
        outputs: torch.Tensor = self.head(self.dropout(features))
        return outputs
