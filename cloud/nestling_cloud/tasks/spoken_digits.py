"""Defines the built-in task `spoken-digits`, which recognizes digits that somebody speaks.

The Free Spoken Digit Dataset (Jackson et al. 2018, CC BY-SA 4.0) has 50 recordings of each of ten
digits by six speakers, at 8 kHz. An input is one second of raw samples: log-mel features are part
of teacher and student. Training, calibration and test data share no speaker.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.sound_teacher import SoundTeacher
from nestling_cloud.recipes.distillation import Distillation
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks import sounds
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.spoken_digit_files import RATE_HZ, SpokenDigit, find_recordings
from nestling_cloud.tasks.task import Task, TaskError
from nestling_core.student.config import conv_student
from nestling_core.student.log_mel import LogMel

LENGTH = RATE_HZ  # samples of an input: one second
TRAIN_SPEAKERS = 3
CALIBRATION_SPEAKERS = 1
STREAM = 50  # recordings of a stream of test inputs
FRONT_END = LogMel(rate_hz=RATE_HZ, window=256, hop=128, remove_mean=True)
# Widths of the four layers at each capacity; the weights take 7, 13, 27 and 45 kB.
WIDTHS = ((20, 20, 24, 24), (32, 32, 32, 32), (48, 48, 48, 48), (64, 64, 64, 64))


def load(data_dir: Path | None, seed: int) -> Splits:
    """Return the recordings, split by speaker.

    Args:
        data_dir: the folder with the recordings or their archive; None to search the usual places.
        seed: the random seed that assigns the speakers to training, calibration and test, and that
            sets the order of their recordings.

    Returns:
        The three parts, with inputs (N, 1, 8000) from -1 to 1.

    Raises:
        DataMissingError: the recordings are not found and cannot be downloaded.
        TaskError: a recording is damaged, or there are too few speakers.
    """
    found, rng = find_recordings(data_dir), np.random.default_rng(seed)
    speakers = rng.permutation(sorted({one.speaker for one in found}))
    most = TRAIN_SPEAKERS + CALIBRATION_SPEAKERS
    if len(speakers) <= most:
        raise TaskError(f"recordings of {len(speakers)} speakers are too few; give {most + 1}")
    mixed = [found[index] for index in rng.permutation(len(found))]
    train, calibration, test = (
        [one for one in mixed if one.speaker in chosen]
        for chosen in np.split(speakers, [TRAIN_SPEAKERS, most])
    )
    streams = [
        [one for one in test if one.speaker == speaker] for speaker in sorted(set(speakers[most:]))
    ]
    return Splits(
        train=_examples(train),
        calibration=_examples(calibration),
        test=[
            _examples(stream[start : start + STREAM])
            for stream in streams
            for start in range(0, len(stream), STREAM)
        ],
    )


def _examples(recordings: Sequence[SpokenDigit]) -> Examples:
    return Examples(
        inputs=np.stack([fitted(one)[None] for one in recordings]),
        labels=np.array([one.digit for one in recordings], np.int64),
    )


def fitted(recording: SpokenDigit) -> NDArray[np.float32]:
    """Return the middle second of a recording, or all of it between zeros, (8000,)."""
    surplus = len(recording.samples) - LENGTH
    if surplus >= 0:
        return recording.samples[surplus // 2 : surplus // 2 + LENGTH]
    return np.pad(recording.samples, (-surplus // 2, -surplus - -surplus // 2))


def augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the recordings as other speakers, microphones and rooms might have made them.

    Args:
        inputs: the recordings, (N, 1, 8000).
        generator: the random generator.
    """
    spoken = sounds.change_speed(inputs, 0.15, generator)
    heard = sounds.filter_tone(sounds.shift(spoken, LENGTH // 10, generator), 6.0, generator)
    levelled = sounds.change_level(sounds.mute(heard, LENGTH // 10, generator), 12.0, generator)
    return sounds.add_noise(levelled, 20.0, 60.0, generator)


TASK = Task(
    name="spoken-digits",
    signature=Signature(
        shape=[1, LENGTH],
        channels=["sound"],
        units=["share of full scale"],
        classes=["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        media="sound",
        rate_hz=RATE_HZ,
    ),
    load=load,
    student=dataclasses.replace(
        conv_student(channels=WIDTHS[-1], strides=(1, 2, 1, 2)),
        widths=WIDTHS,
        # Along time alone, it needs a fifth of the operations, and was more accurate as well.
        front_end=dataclasses.replace(FRONT_END, bands_as_channels=True),
    ),
    teacher=partial(SoundTeacher, front_end=FRONT_END),
    teacher_recipe=Recipe(
        epochs=24, batch=64, learning_rate=6e-3, weight_decay=0.05, half=True, optimizer="muon"
    ),
    student_recipe=Recipe(epochs=20, batch=64, learning_rate=6e-3, half=True, optimizer="muon"),
    distillation=Distillation(views=16),
    augment=augment,
)
