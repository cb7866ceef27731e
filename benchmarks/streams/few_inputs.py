"""Compares our router with max-softmax if both are fitted on few calibration inputs."""

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.routing.curves import accuracies, rival_urgencies
from benchmarks.streams.curves import ours_from
from benchmarks.streams.fitted import FittedRouter, fit_router, starts_of
from benchmarks.streams.recordings import draw_beginnings, draw_recordings
from nestling_cloud.learning.routing import CascadeRule, RoutingData

SIZES = (50, 130, 400)
"""The numbers of calibration inputs, of which 60 % are fitted on."""
SHARE = 0.1
BEGINNING = 10
"""The most inputs of a recording that is cut to its beginning."""
_TURNS = 3  # draws of each size
Draw = Callable[[RoutingData, int, np.random.Generator], RoutingData]
DRAWS: Mapping[str, Draw] = {
    "whole recordings": draw_recordings,
    "beginnings of recordings": lambda data, count, rng: draw_beginnings(
        data, count, BEGINNING, rng
    ),
}


def measure_few(calibration: RoutingData, test: RoutingData, seed: int) -> dict[str, list[float]]:
    """Return our accuracy minus that of max-softmax at an offload share of 10 %, in points.

    Args:
        calibration: all calibration inputs, of which some are drawn.
        test: the test inputs.
        seed: the seed of the draws and of the fits.

    Returns:
        A mapping from a key of `key_of` to the differences, one for each draw.
    """
    found: dict[str, list[float]] = {}
    for kind, draw in DRAWS.items():
        for size in SIZES:
            for turn in range(_TURNS):
                drawn = draw(calibration, size, np.random.default_rng([seed, size, turn]))
                router = fit_router(drawn, test, seed)
                for start, cascade in starts_of(test).items():
                    difference = _difference(router, cascade)
                    found.setdefault(key_of(kind, size, start), []).append(difference)
    return found


def key_of(kind: str, size: int, start: str) -> str:
    """Return the key for a set of calibration inputs and the capacity that runs.

    Args:
        kind: how the inputs are drawn, a key of `DRAWS`.
        size: the number of calibration inputs.
        start: the capacity that runs, "smallest" or "largest".
    """
    return f"{size} calibration inputs, {kind}, from the {start}"


def _difference(router: FittedRouter, cascade: CascadeRule) -> float:
    index, right, shares = cascade.top - 1, router.test.right, np.array([SHARE])
    softmax = rival_urgencies(("max-softmax",), router.fitted, router.test, 0)["max-softmax"]
    theirs = accuracies(softmax[index], right[:, index], right[:, -1], shares)
    ours = ours_from(router, cascade, router.filter_of(cascade), shares)
    return float(ours[0] - theirs[0])
