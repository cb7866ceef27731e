"""Inputs of which some are loud: those the device gets wrong, the cloud right."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from nestling_cloud.learning.routing import RoutingData
from nestling_cloud.learning.routing.data import Bools


@dataclass(frozen=True, kw_only=True)
class Hardness:
    """Routing data, and which of its inputs are loud."""

    data: RoutingData
    loud: Bools


def loud_and_quiet(count: int, seed: int) -> Hardness:
    """Draw inputs; a student is unsure of loud ones, and mostly wrong."""
    rng = np.random.default_rng(seed)
    loud = rng.random(count) < 0.4
    inputs = rng.normal(size=(count, 1, 16)) * np.where(loud, 3.0, 0.5)[:, None, None]
    answers = rng.integers(0, 3, count)
    right = np.where(loud, rng.random(count) < 0.1, rng.random(count) < 0.95)
    labels = np.where(right, answers, (answers + rng.integers(1, 3, count)) % 3)
    sure = np.where(loud, 0.2, 4.0)[:, None] * np.eye(3)[answers]
    sure = sure * rng.uniform(0.7, 1.3, count)[:, None]
    taught = np.where(rng.random(count) < 0.9, labels, (labels + 1) % 3)
    return Hardness(
        data=RoutingData(
            inputs=inputs.astype(np.float32),
            logits=np.stack([sure, sure * 1.2]).astype(np.float32),
            cloud=(3 * np.eye(3)[taught]).astype(np.float32),
            labels=labels,
        ),
        loud=loud,
    )


def better_larger_one(data: RoutingData) -> RoutingData:
    """The same where capacity 2 answers as the cloud does."""
    return dataclasses.replace(data, logits=np.stack([data.logits[0], data.cloud]))


def specialist_cloud(count: int, seed: int) -> RoutingData:
    """Of four classes the cloud knows two: of the others it says one of these, as surely as ever.

    The student wavers between two classes where an input is loud, and is right otherwise.
    """
    made, rng = _wavering(count, seed), np.random.default_rng([seed, 1])
    said = np.where(made.labels < 2, rng.integers(2, 4, count), made.labels)
    return dataclasses.replace(made, cloud=(3 * np.eye(4)[said]).astype(np.float32))


def noisy_labels(count: int, seed: int) -> RoutingData:
    """The cloud knows all four classes, but the labels of two of them say any of these two."""
    made, rng = _wavering(count, seed), np.random.default_rng([seed, 1])
    labels = np.where(made.labels < 2, rng.integers(0, 2, count), made.labels)
    return dataclasses.replace(made, labels=labels)


def _wavering(count: int, seed: int) -> RoutingData:
    rng = np.random.default_rng(seed)
    loud = rng.random(count) < 0.4
    pair = rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)[:, :2]
    labels = np.where(rng.random(count) < 0.5, pair[:, 0], pair[:, 1])
    both = 2.0 * np.eye(4)[pair[:, 0]] + 1.8 * np.eye(4)[pair[:, 1]]
    sure = np.where(loud[:, None], both, 4 * np.eye(4)[labels])
    sure = sure * rng.uniform(0.8, 1.2, count)[:, None]
    return RoutingData(
        inputs=np.zeros((count, 1, 1), np.float32),
        logits=np.stack([sure, sure * 1.2]).astype(np.float32),
        cloud=(3 * np.eye(4)[labels]).astype(np.float32),
        labels=labels,
    )
