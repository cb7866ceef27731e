"""Streams for the hand-made bundle: inputs that show a class, and a cloud that knows it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import StreamFilter
from tests.support.agent_rig import KnowingCloud
from tests.support.hand_bundle import CAPACITIES, CLASSES, SHAPE, load_hand_bundle

# The logits of the hand-made capacities are extreme, so the filter weighs them little.
FILTER = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.1, doubt=0.05)


def showing(folder: Path, place: int, *success: float) -> NDArray[np.float32]:
    """Make an input that the largest capacity classifies as a given class.

    Args:
        folder: folder for the blobs of the bundle.
        place: the index of the class, from 0 to 2; hardly any input shows the last class.
        success: success probabilities of capacity 1, 2, 3 and the cloud.
    """
    rng = np.random.default_rng(0)
    tails = rng.uniform(-3, 3, (500, 2))
    tried = np.concatenate([np.tile(success, (500, 1)), tails], axis=1, dtype=np.float32)
    nest = load_hand_bundle(folder).nest
    nest.load(CAPACITIES)
    answers = nest.run(tried.reshape(-1, *SHAPE)).logits.argmax(axis=1)
    found: NDArray[np.float32] = tried[answers == place][0].reshape(SHAPE)
    return found


def cloud_that_says(*places: int) -> KnowingCloud:
    """Make a cloud that gives each input, by its index, a class with near certainty."""
    return KnowingCloud([np.float32(8) * np.eye(CLASSES, dtype=np.float32)[one] for one in places])


def random_stream(seed: int, count: int) -> tuple[list[NDArray[np.float32]], KnowingCloud]:
    """Draw inputs and the cloud's logits for them."""
    rng = np.random.default_rng(seed)
    inputs = [
        np.concatenate([rng.random(CAPACITIES + 1), rng.uniform(-3, 3, 2)], dtype=np.float32)
        for _ in range(count)
    ]
    logits = (4 * rng.normal(size=(count, CLASSES))).astype(np.float32)
    return [one.reshape(SHAPE) for one in inputs], KnowingCloud(list(logits))
