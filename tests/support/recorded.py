"""Routing data of recordings, in which neighbors share their class and their difficulty."""

import dataclasses
from typing import Any

import numpy as np

from nestling_cloud.learning.routing import RoutingData

CLASSES = 4


def recorded(
    recordings: int,
    *,
    seed: int,
    length: int = 60,
    device_right: float = 0.95,
    cloud_right: float = 0.95,
) -> RoutingData:
    """Draw recordings of about one length, each of which has one class.

    In bursts of about eight inputs, which are 40% of all inputs, the student is unsure and right
    only by chance. It then often repeats its mistake.

    Args:
        recordings: number of recordings.
        seed: random seed.
        length: mean number of inputs in a recording.
        device_right: probability that the student is right outside of bursts.
        cloud_right: probability that the cloud is right, everywhere.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(length // 2, length * 3 // 2, recordings, endpoint=True).tolist()
    labels = np.concatenate(
        [np.full(count, index % CLASSES) for index, count in enumerate(lengths)]
    )
    count = len(labels)
    burst = _in_runs(rng, rng.random(count) < 0.4, 1 / 8)
    guessed = _in_runs(rng, rng.integers(0, CLASSES, count), 0.3)
    wrong = (labels + rng.integers(1, CLASSES, count)) % CLASSES
    answers = np.where(rng.random(count) < device_right, labels, wrong)
    answers = np.where(burst, guessed, answers)
    taught = np.where(rng.random(count) < cloud_right, labels, wrong)
    sure = np.where(burst, 1.0, 3.5) * rng.uniform(0.7, 1.3, count)
    logits = sure[:, None] * np.eye(CLASSES)[answers] + 0.1 * rng.normal(size=(count, CLASSES))
    return RoutingData(
        inputs=np.zeros((count, 1, 1), np.float32),
        logits=np.stack([logits, 1.3 * logits]).astype(np.float32),
        cloud=(3 * np.eye(CLASSES)[taught]).astype(np.float32),
        labels=labels,
        lengths=lengths,
    )


def shuffled(data: RoutingData, seed: int) -> RoutingData:
    """Return the same inputs in a random order, as if recorded like this."""
    order = np.random.default_rng(seed).permutation(len(data))
    return dataclasses.replace(data.part(order), lengths=data.lengths)


def _in_runs(
    rng: np.random.Generator, drawn: np.ndarray[tuple[int], np.dtype[Any]], ends: float
) -> np.ndarray[tuple[int], np.dtype[Any]]:
    """Return draws that last until a run ends, which each input does with a probability."""
    new = rng.random(len(drawn)) < ends
    new[0] = True
    return drawn[np.maximum.accumulate(np.where(new, np.arange(len(drawn)), 0))]
