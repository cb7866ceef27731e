"""A router that was fitted on made recordings."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.streams.fitted import FittedRouter, fit_router
from nestling_cloud.learning.routing import RoutingData


def made_recordings(lengths: Sequence[int], seed: int) -> RoutingData:
    """Return recordings of one class each, with a student of two capacities and a better cloud."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, 4, len(lengths)), lengths)
    truth = np.eye(4)[labels]
    logits = (
        rng.normal(0, 1, (3, len(labels), 4)) + np.array([1.2, 1.8, 3.0])[:, None, None] * truth
    )
    return RoutingData(
        inputs=np.zeros((len(labels), 1), np.float32),
        logits=logits[:2].astype(np.float32),
        cloud=logits[2].astype(np.float32),
        labels=labels,
        lengths=lengths,
    )


@pytest.fixture(scope="session")
def router() -> FittedRouter:
    return fit_router(made_recordings([20] * 20, 0), made_recordings([30] * 40, 1), 0)
