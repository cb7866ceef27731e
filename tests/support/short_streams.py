"""Tasks for fleets of three devices.

Run one with `nestling-sim run --task tests/support/short_streams.py:NAME`.
"""

import dataclasses
from pathlib import Path

import numpy as np

from nestling_cloud.tasks import Examples, Recipe, Splits, TaskError, concatenate
from nestling_cloud.tasks.wearable import TASK as WEARABLE
from tests.support.learning_fleet import slow_tones
from tests.support.tiny_task import TINY_TASK, tiny_splits, tones

_DEVICES = 3


def _watches(length: int, seed: int) -> Splits:
    """Shuffle the windows of all test recordings into three recordings of one length."""
    splits = WEARABLE.load(None, seed)
    every = concatenate(splits.test)
    order = np.random.default_rng(seed).permutation(len(every))
    picked = np.resize(order, (_DEVICES, length))
    test = [Examples(inputs=every.inputs[rows], labels=every.labels[rows]) for rows in picked]
    return dataclasses.replace(splits, test=test)


def _tones(_data_dir: Path | None, seed: int) -> Splits:
    test = [tones(20, seed + number) for number in range(_DEVICES)]
    return dataclasses.replace(tiny_splits(seed), test=test)


def _missing(_data_dir: Path | None, _seed: int) -> Splits:
    raise TaskError("no watch found; connect one")


# A fleet finishes it in seconds.
SHORT = dataclasses.replace(WEARABLE, load=lambda _data_dir, seed: _watches(50, seed))
# A fleet needs far longer for it than the test that interrupts it.
LONG = dataclasses.replace(WEARABLE, load=lambda _data_dir, seed: _watches(4000, seed))
# Training its teacher does not end during a test.
UNTEACHABLE = dataclasses.replace(TINY_TASK, load=_tones, teacher_recipe=Recipe(epochs=100_000))
# Its data is missing.
DATALESS = dataclasses.replace(WEARABLE, load=_missing)


def _slow_tones(_data_dir: Path | None, seed: int) -> Splits:
    test = [slow_tones(60, seed + number) for number in range(_DEVICES)]
    return dataclasses.replace(tiny_splits(seed), test=test)


# A fleet can learn from it: each recording has long runs of one tone.
SLOW = dataclasses.replace(TINY_TASK, load=_slow_tones)
