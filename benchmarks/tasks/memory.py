"""Measures the memory of a whole training on pictures that stay on disk.

Random uint8 pictures of 96 x 96 x 3 are written to a file. A process of its own then loads them as
`StoredInputs` and runs every step of `learn`: a small teacher, two augmented copies, a small nested
student, quantization and calibration, with one epoch each. The pictures teach nothing; only the
memory counts. Run it as `python -m benchmarks.tasks.memory --count 50000`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from nestling_cloud.learning.pipeline import learn
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import (
    Distillation,
    Examples,
    Recipe,
    Signature,
    Splits,
    StoredInputs,
    Task,
    conv_student,
    store_inputs,
)
from nestling_cloud.tasks.pictures import flip, shift
from nestling_cloud.temporary_files import temporary_folder
from nestling_core.student.normalizer import Normalizer

SHAPE = (3, 96, 96)
CLASSES = 10
CALIBRATION = 2000
_FILE = "pictures.npy"
_BATCH = 500
_DISK = Path("/var/tmp")  # noqa: S108  /tmp is often in memory


class SmallTeacher(nn.Module):
    """Two strided convolutions and a linear layer, after the normalization of its inputs."""

    def __init__(self, signature: Signature) -> None:
        """Build an untrained network."""
        super().__init__()
        self.normalizer = Normalizer(signature.shape[0], 2)
        self.body = nn.Sequential(
            nn.Conv2d(signature.shape[0], 16, 5, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Linear(32, len(signature.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, classes) of pictures (N, 3, 96, 96)."""
        logits: torch.Tensor = self.head(self.body(self.normalizer(x)).flatten(2).mean(2))
        return logits


def picture_task(inputs: StoredInputs) -> Task:
    """Return a task whose calibration inputs are the last of some pictures, with random labels."""
    labels = np.random.default_rng(1).integers(0, CLASSES, len(inputs))
    pictures, border = Examples(inputs=inputs, labels=labels), len(inputs) - CALIBRATION
    splits = Splits(
        train=pictures.rows(slice(border)),
        calibration=pictures.rows(slice(border, None)),
        test=[pictures.rows(slice(border, border + 50))],
    )
    once = Recipe(epochs=1, batch=256, threads=1)
    return Task(
        name="pictures",
        signature=Signature(
            shape=SHAPE,
            channels=["red", "green", "blue"],
            units=["share of full"] * 3,
            classes=[f"class {index}" for index in range(CLASSES)],
        ),
        load=lambda _data_dir, _seed: splits,
        student=conv_student(channels=(8, 16), strides=(4, 2), fractions=(0.5, 1.0)),
        teacher=SmallTeacher,
        teacher_recipe=once,
        student_recipe=once,
        distillation=Distillation(views=2),
        augment=lambda inputs, generator: shift(flip(inputs, generator), 4, generator),
    )


def main() -> None:
    """Measure, print the figures as JSON, and save them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="training pictures")
    parser.add_argument("--out", type=Path, help="file for the figures, as JSON")
    parser.add_argument("--learn", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learn:
        print(json.dumps(_learn(options.learn)))
        return
    figures = measure(options.count)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", "utf-8")


def measure(count: int) -> dict[str, float]:
    """Return the peak memory and the duration of a training on many pictures.

    Args:
        count: the number of training pictures.
    """
    with temporary_folder("nestling-memory-", _DISK) as folder:
        path = folder / _FILE
        store_inputs(path, _pictures(count + CALIBRATION))
        command = [sys.executable, "-m", "benchmarks.tasks.memory", "--learn", str(path)]
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        return {
            "pictures": count,
            "as_float32_mb": 4 * count * int(np.prod(SHAPE)) / 1e6,
            **json.loads(done.stdout),
        }


def _pictures(count: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    for start in range(0, count, _BATCH):
        yield rng.integers(0, 256, (min(_BATCH, count - start), *SHAPE), np.uint8)


def _learn(path: Path) -> dict[str, float]:
    task = picture_task(StoredInputs(path))
    imported_mb = _status_mb("VmRSS")
    started = time.monotonic()
    splits = task.load_checked(None, 0)
    learned = learn(task, splits, seed=0, progress=ConsoleProgress(Console(stderr=True)))
    return {
        "imported_mb": imported_mb,
        "peak_mb": _status_mb("VmHWM"),
        "model_mb": sum(array.nbytes for array in learned.checkpoint.values()) / 1e6,
        "seconds": time.monotonic() - started,
    }


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1e3
    raise RuntimeError(f"/proc/self/status has no {field}; measure on Linux")


if __name__ == "__main__":
    main()
