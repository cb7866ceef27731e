"""Finds what a multiplexer should look at, and be taught, by inputs that it was not fitted on.

How sure a student is says most of what can be known, and says it of any class; the teacher's belief
is a smoother word than a label. Neither holds where the cloud knows some classes only, or where
labels of some classes are noise (Jitkrittum et al. 2023, arXiv 2307.02764). What else there is to
look at is learned by heart where inputs come from few people, so it has to show that it helps.
"""

import dataclasses

import numpy as np

from nestling_cloud.learning.routing.correctness_labels import LABEL_PART
from nestling_cloud.learning.routing.data import RoutingData
from nestling_cloud.learning.routing.fit_multiplexer import (
    DEFAULT,
    RECIPE,
    Design,
    beliefs,
    fit_multiplexer,
)
from nestling_cloud.progress import Progress, Silent

Doubles = np.ndarray[tuple[int], np.dtype[np.float64]]

DESIGNS = tuple(
    Design(knows_classes=knows, label_part=part)
    for knows in (False, True)
    for part in (LABEL_PART, 1.0)
)
# Fewer epochs than what is shipped: designs differ as much after them.
_RECIPE = dataclasses.replace(RECIPE, epochs=15)
# Neighbouring windows of a recording are alike, and count as one.
_STRETCH = 50
# By how many standard errors another design has to be better than the default.
_SURE = 2.0
# Fewer stretches cannot show it.
_FEWEST = 10


def choose_design(data: RoutingData, *, seed: int, progress: Progress) -> Design:
    """Fit every design on one half of the inputs and judge it on the other, both ways.

    The default stays unless another is surely better: by two standard errors, over stretches of 50
    neighbouring inputs, of the squared error of what the cloud is believed to be better by.

    Args:
        data: what every option made of inputs that the models did not train on, as recorded.
        seed: of the fits.
        progress: told every design.
    """
    stretches = len(data) // _STRETCH
    if stretches < _FEWEST:
        return DEFAULT
    errors = {
        design: _by_stretch(_squared_errors(data, design, seed), stretches)
        for design in progress.track(DESIGNS, len(DESIGNS), "multiplexer's design")
    }
    best, most = DEFAULT, 0.0
    for design, one in errors.items():
        gained = errors[DEFAULT] - one
        mean = float(gained.mean())
        if mean > most and mean > _SURE * gained.std(ddof=1) / np.sqrt(stretches):
            best, most = design, mean
    return best


def _squared_errors(data: RoutingData, design: Design, seed: int) -> Doubles:
    """Of what the cloud is believed to be better by, mean over capacities, (N,)."""
    halves = np.array_split(np.arange(len(data)), 2)
    found = []
    for judged, fitted in ((halves[0], halves[1]), (halves[1], halves[0])):
        multiplexer = fit_multiplexer(
            data.part(fitted), seed=seed, progress=Silent(), design=design, recipe=_RECIPE
        )
        unseen = data.part(judged)
        believed, right = beliefs(multiplexer, unseen), unseen.right.astype(np.float64)
        found.append(
            np.mean(
                [
                    (after[:, -1] - after[:, k] - (right[:, -1] - right[:, k])) ** 2
                    for k, after in enumerate(believed)
                ],
                axis=0,
            )
        )
    return np.concatenate(found)


def _by_stretch(errors: Doubles, stretches: int) -> Doubles:
    return np.array([part.mean() for part in np.array_split(errors, stretches)])
