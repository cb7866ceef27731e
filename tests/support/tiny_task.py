"""A task that trains in a second or two: noisy tones of three pitches."""

import numpy as np
import torch
from torch import nn

from nestling_cloud.tasks import Examples, Recipe, Signature, Splits, Task, conv_student

LENGTH = 16
CLASSES = 3


class TinyTeacher(nn.Module):
    """One convolution and a linear layer."""

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self.conv = nn.Conv1d(signature.shape[0], 8, 5, padding=2)
        self.head = nn.Linear(8, len(signature.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.relu(self.conv(x)).mean(2))
        return logits


def tones(count: int, seed: int) -> Examples:
    """Make noisy windows (count, 2, LENGTH) of a sine and a cosine whose pitch is the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    angles = rng.uniform(0, 6, (count, 1)) + np.arange(LENGTH) * (labels[:, None] + 1) * 0.6
    clean = np.stack([np.sin(angles), np.cos(angles)], 1)
    noise = rng.normal(scale=0.4, size=clean.shape)
    return Examples(inputs=(clean + noise).astype(np.float32), labels=labels.astype(np.int64))


def tiny_splits(seed: int = 0) -> Splits:
    """Make the task's data: 512 training and 256 calibration windows, two test streams of 20."""
    return Splits(
        train=tones(512, 10 * seed),
        calibration=tones(256, 10 * seed + 1),
        test=[tones(20, 10 * seed + 2), tones(20, 10 * seed + 3)],
    )


TINY_TASK = Task(
    name="tiny",
    signature=Signature(
        shape=[2, LENGTH],
        channels=["sine", "cosine"],
        units=["V", "V"],
        classes=["low", "middle", "high"],
    ),
    load=lambda _data_dir, seed: tiny_splits(seed),
    student=conv_student(channels=(6, 8), strides=(2, 1), fractions=(0.5, 0.75, 1.0)),
    teacher=TinyTeacher,
    teacher_recipe=Recipe(epochs=10, batch=64, threads=1),
    student_recipe=Recipe(epochs=20, batch=64, threads=1),
)
