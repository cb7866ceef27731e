"""Defines an example of a custom task, with a teacher that is already trained.

The task is to recognize scikit-learn's handwritten digits, which are pictures of 8 by 8 pixels.

Run the example with:

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
    """Return training, calibration and test data, read through torch's data loaders.

    Args:
        data_dir: the folder given with `--data-dir`, which is not used here.
        seed: the random seed that decides which pictures are for calibration and which for test.
            The pictures for training are always the same.

    Returns:
        The data. The test pictures are split into ten parts, so that each of ten devices can have
        its own.
    """
    del data_dir  # scikit-learn brings the pictures
    digits = dataset()
    order = np.random.default_rng(0).permutation(len(digits))
    # The teacher is trained beforehand, so its training data must not depend on the seed.
    rest = np.random.default_rng(seed).permutation(order[TRAIN:])
    parts = [order[:TRAIN], rest[:CALIBRATION], *np.array_split(rest[CALIBRATION:], STREAMS)]
    train, calibration, *test = [
        examples_from(DataLoader(Subset(digits, part.tolist()), batch_size=100)) for part in parts
    ]
    return Splits(train=train, calibration=calibration, test=test)


def dataset() -> TensorDataset:
    """Return all pictures as float32 (N, 1, 8, 8), from 0 to 16, with labels as int64 (N,)."""
    pictures, labels = load_digits(return_X_y=True)
    inputs = torch.tensor(pictures, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return TensorDataset(inputs, torch.tensor(labels))


class Perceptron(nn.Module):
    """A small teacher.

    Any torch module that maps inputs (N, *shape) to logits (N, classes) can be a teacher.
    """

    def __init__(self) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, 10) of pictures (N, 1, 8, 8)."""
        logits: torch.Tensor = self.layers(x / 16)
        return logits


def teacher(signature: Signature) -> nn.Module:
    """Return a trained teacher.

    Here, a short loop trains it; usually, a teacher is loaded from a file.
    """
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
    teacher_recipe=None,  # the teacher is already trained
    student=conv_student(channels=(16, 32), strides=(1, 2)),
    student_recipe=Recipe(epochs=30, batch=64),
    distillation=Distillation(views=1),  # without `augment` every copy would be the same
)
