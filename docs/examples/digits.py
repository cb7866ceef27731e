"""Bring your own task and teacher: scikit-learn's handwritten digits, 8 by 8 points.

nestling-sim run --task docs/examples/digits.py:TASK
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nestling_cloud.tasks import (
    Distillation,
    Recipe,
    Signature,
    Splits,
    Task,
    conv_student,
    examples_from,
)

TRAIN, CALIBRATION, STREAMS = 1000, 400, 10


def load(data_dir: Path | None, seed: int) -> Splits:
    """Deal the pictures out by data loaders; a part each for learning, calibration and test."""
    del data_dir  # the pictures come with scikit-learn
    digits = dataset()
    order = np.random.default_rng(0).permutation(len(digits))
    # The teacher comes trained, so what it has seen is the same for every seed.
    rest = np.random.default_rng(seed).permutation(order[TRAIN:])
    parts = [order[:TRAIN], rest[:CALIBRATION], *np.array_split(rest[CALIBRATION:], STREAMS)]
    train, calibration, *test = [
        examples_from(DataLoader(Subset(digits, part.tolist()), batch_size=100)) for part in parts
    ]
    return Splits(train=train, calibration=calibration, test=test)


def dataset() -> TensorDataset:
    """All pictures, (N, 1, 8, 8), and what they show."""
    pictures, labels = load_digits(return_X_y=True)
    inputs = torch.tensor(pictures, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return TensorDataset(inputs, torch.tensor(labels))


class Perceptron(nn.Module):
    """Any module will do as a teacher: inputs (N, *shape) to logits (N, classes)."""

    def __init__(self) -> None:
        """Build it untrained."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        logits: torch.Tensor = self.layers(x / 16)
        return logits


def teacher(signature: Signature) -> nn.Module:
    """Bring a teacher that is trained: here by a loop of one's own, more often from a file."""
    del signature
    network = Perceptron()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    train = load(None, 0).train
    inputs, labels = torch.from_numpy(train.inputs), torch.from_numpy(train.labels)
    for _ in range(200):
        loss = nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


TASK = Task(
    name="digits",
    signature=Signature(
        shape=[1, 8, 8],
        channels=["ink"],
        units=["sixteenths"],
        classes=[str(digit) for digit in range(10)],
    ),
    load=load,
    teacher=teacher,
    teacher_recipe=None,  # it comes trained
    student=conv_student(channels=(16, 32), strides=(1, 2)),
    student_recipe=Recipe(epochs=30, batch=64),
    distillation=Distillation(views=1),  # without `augment` all copies would be the same
)
