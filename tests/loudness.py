"""Inputs of which some are loud: those the device gets wrong, the cloud right."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from nestling_cloud.routing import RoutingData
from nestling_cloud.routing.data import Bools


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
