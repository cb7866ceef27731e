"""A task that trains in seconds: notes of three pitches, as raw samples at 1 kHz."""

import dataclasses

import numpy as np
import torch

from nestling_cloud.tasks import Examples, LogMel, Recipe, Signature, Splits, Task, conv_student
from nestling_cloud.tasks.sounds import add_noise, change_level, shift

RATE_HZ = 1000
LENGTH = 400
FRONT_END = LogMel(rate_hz=RATE_HZ, window=64, hop=32, mels=12, low_hz=30.0, bands_as_channels=True)
_PITCHES_HZ = (100.0, 160.0, 260.0)


def notes(count: int, seed: int) -> Examples:
    """Make notes (count, 1, LENGTH) of 16 bits, loud or soft, whose pitch is the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(_PITCHES_HZ), count)
    pitch = np.array(_PITCHES_HZ)[labels] * rng.uniform(0.85, 1.15, count)
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    clean = np.sin(2 * np.pi * pitch[:, None] * np.arange(LENGTH) / RATE_HZ + phase)
    loudness = 10 ** rng.uniform(-2, -0.3, (count, 1))
    samples = loudness * (clean + 0.4 * rng.normal(size=clean.shape))
    rounded = np.rint(32768 * samples).clip(-32768, 32767) / 32768
    return Examples(inputs=rounded[:, None].astype(np.float32), labels=labels.astype(np.int64))


def note_splits(seed: int = 0) -> Splits:
    """Make the task's data: 400 training and 200 calibration notes, and two test streams of 50."""
    return Splits(
        train=notes(400, 10 * seed),
        calibration=notes(200, 10 * seed + 1),
        test=[notes(50, 10 * seed + 2), notes(50, 10 * seed + 3)],
    )


def _augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    moved = change_level(shift(inputs, 20, generator), 6.0, generator)
    return add_noise(moved, 20.0, 40.0, generator)


SOUND_TASK = Task(
    name="notes",
    signature=Signature(
        shape=[1, LENGTH],
        channels=["sound"],
        units=["share of full scale"],
        classes=["low", "middle", "high"],
        media="sound",
        rate_hz=RATE_HZ,
    ),
    load=lambda _data_dir, seed: note_splits(seed),
    student=dataclasses.replace(
        conv_student(channels=(6, 8), strides=(2, 1), fractions=(0.5, 1.0)), front_end=FRONT_END
    ),
    teacher_recipe=Recipe(epochs=4, batch=64, threads=1),
    student_recipe=Recipe(epochs=12, batch=64, threads=1),
    augment=_augment,
)
