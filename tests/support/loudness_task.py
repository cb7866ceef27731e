"""Routing data in which some inputs are loud: the device fails on them, the cloud does not."""

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
    """Draw inputs; on loud ones the student is uncertain and mostly wrong."""
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
    """Return the same data with a capacity 2 that answers as the cloud does."""
    return dataclasses.replace(data, logits=np.stack([data.logits[0], data.cloud]))


def specialist_cloud(count: int, seed: int) -> RoutingData:
    """Return data whose cloud knows two of four classes, and confuses the others with these two.

    The student is uncertain between two classes on loud inputs, and right on all others.
    """
    data, rng = _uncertain_student(count, seed), np.random.default_rng([seed, 1])
    answers = np.where(data.labels < 2, rng.integers(2, 4, count), data.labels)
    return dataclasses.replace(data, cloud=(3 * np.eye(4)[answers]).astype(np.float32))


def noisy_labels(count: int, seed: int) -> RoutingData:
    """Return data whose cloud knows all four classes, but whose labels mix up two of them."""
    data, rng = _uncertain_student(count, seed), np.random.default_rng([seed, 1])
    labels = np.where(data.labels < 2, rng.integers(0, 2, count), data.labels)
    return dataclasses.replace(data, labels=labels)


def _uncertain_student(count: int, seed: int) -> RoutingData:
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
