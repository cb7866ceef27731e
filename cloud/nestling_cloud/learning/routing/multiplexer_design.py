"""Chooses the multiplexer's inputs and training targets by cross-validation.

By default, the multiplexer sees only the student's largest class probabilities, because they carry
most of the information and have the same meaning for all classes. Its targets mix labels with the
teacher's probabilities, which are smoother.

Other choices may be better if the cloud is good at only some classes, or if the labels of some
classes are noisy (Jitkrittum et al. 2023, arXiv 2307.02764). However, if the data comes from few
people, a multiplexer that sees more than the largest probabilities overfits. Another design is
therefore chosen only if it proves better.
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
from nestling_cloud.progress import Progress, SilentProgress

Doubles = np.ndarray[tuple[int], np.dtype[np.float64]]

DESIGNS = tuple(
    Design(knows_classes=knows, label_part=part)
    for knows in (False, True)
    for part in (LABEL_PART, 1.0)
)
# Fewer epochs than for the shipped multiplexer: they are enough to compare designs.
_RECIPE = dataclasses.replace(RECIPE, epochs=15)
# Inputs per stretch: neighboring windows of a recording are alike and count as one observation.
_STRETCH = 50
# Standard errors by which another design must be better than the default.
_STANDARD_ERRORS = 2.0
# Fewer stretches are too few to compare designs.
_FEWEST_STRETCHES = 10


def choose_design(data: RoutingData, *, seed: int, progress: Progress) -> Design:
    """Return the multiplexer design with the best predictions of the cloud's gain over the device.

    Each design is fitted on one half of the inputs and evaluated on the other half, and vice versa.
    Designs are compared by the squared error of the predicted gain. The errors are averaged over
    stretches of at least 50 neighboring inputs. Because neighbors are similar, each stretch counts
    as one observation. Another design replaces the default only if its mean error is lower by more
    than two standard errors of the difference. If there are fewer than ten stretches, the default
    is returned without a comparison.

    Args:
        data: the outputs of every option, for inputs in recorded order that neither teacher nor
            student trained on.
        seed: the random seed for the fits.
        progress: the progress display, advanced once per design.
    """
    stretches = len(data) // _STRETCH
    if stretches < _FEWEST_STRETCHES:
        return DEFAULT
    errors = {
        design: _by_stretch(_squared_errors(data, design, seed), stretches)
        for design in progress.track(DESIGNS, len(DESIGNS), "multiplexer's design")
    }
    best, most = DEFAULT, 0.0
    for design, one in errors.items():
        gained = errors[DEFAULT] - one
        mean = float(gained.mean())
        if mean > most and mean > _STANDARD_ERRORS * gained.std(ddof=1) / np.sqrt(stretches):
            best, most = design, mean
    return best


def _squared_errors(data: RoutingData, design: Design, seed: int) -> Doubles:
    """Return the squared error of the cloud's predicted gain for each input, (N,).

    The gain for each half of the inputs is predicted by a multiplexer that was fitted on the other
    half. The errors are averaged over the capacities.
    """
    halves = np.array_split(np.arange(len(data)), 2)
    found = []
    for judged, fitted in ((halves[0], halves[1]), (halves[1], halves[0])):
        multiplexer = fit_multiplexer(
            data.part(fitted), seed=seed, progress=SilentProgress(), design=design, recipe=_RECIPE
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
