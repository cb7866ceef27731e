"""Learns from the cloud's answers how far the device's confidence can be trusted.

The model: if the filter gives its best class the probability p, the log-odds that this class is
right are logit(p), plus an offset of the class, plus an offset of the range in which p lies. Before
any answer, every offset has a normal distribution with mean 0, so that the bundle's calibration
applies. Each answer of the cloud is an observation: the device's class is the cloud's class, or is
not. The cloud is right only with a certain probability: the less reliable it is, the less an
observation counts. The offsets are updated by an extended Kalman filter (assumed density filtering,
Opper 1998) with a diagonal covariance.

The offsets are bounded, and there are as many as classes and ranges, so the model's size does not
grow.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# Upper ends of the ranges of confidence, except the last range.
_RANGES = (0.5, 0.7, 0.85, 0.95)
# Standard deviation of an offset before any answer, in log-odds.
_PRIOR = 0.5
# Largest offset in either direction, in log-odds.
LIMIT = 2.0
_EXTREME = 1e-6


class Reliability(NamedTuple):
    """The offsets of the device's confidence, in log-odds.

    Attributes:
        mean: the mean of each offset, (C + 5,): the offsets of the classes, then of the ranges.
        variance: the variance of each offset, (C + 5,).
    """

    mean: Doubles
    variance: Doubles


class Prediction(NamedTuple):
    """A confidence that the cloud's answer can confirm or refute.

    Attributes:
        answer: the device's best class.
        confidence: the probability of this class according to the filter, without offsets.
    """

    answer: int
    confidence: float


def as_calibrated(classes: int) -> Reliability:
    """Return the initial offsets, which leave the confidence as the bundle calibrated it.

    Args:
        classes: the number of classes.
    """
    size = classes + len(_RANGES) + 1
    return Reliability(np.zeros(size), np.full(size, _PRIOR**2))


def corrected(reliability: Reliability, prediction: Prediction) -> float:
    """Return the probability that the device's best class is right, from 0 to 1.

    Args:
        reliability: the offsets learned so far.
        prediction: the device's best class with its confidence.
    """
    offset = _offset(reliability, prediction)
    return (
        prediction.confidence if offset == 0 else _sigmoid(_logit(prediction.confidence) + offset)
    )


def after_cloud_answer(
    reliability: Reliability, prediction: Prediction, cloud_answer: int, cloud_right: float
) -> Reliability:
    """Return the offsets after one more answer of the cloud.

    Args:
        reliability: the offsets before this answer.
        prediction: the device's best class with its confidence, before the answer.
        cloud_answer: the cloud's class.
        cloud_right: the estimated probability that the cloud's class is right.
    """
    classes = len(reliability.mean) - len(_RANGES) - 1
    places = _places(reliability, prediction)
    right = corrected(reliability, prediction)
    cloud = min(max(cloud_right, _EXTREME), 1 - _EXTREME)
    chance = (1 - cloud) / (classes - 1)  # that a wrong answer of the cloud is the same class
    agrees = right * cloud + (1 - right) * chance
    slope = right * (1 - right) * (cloud - chance)
    noise = agrees * (1 - agrees)
    variance = reliability.variance[places]
    total = slope**2 * variance.sum() + noise
    if not total > 0:
        return reliability
    gain = variance * slope / total
    mean, spread = reliability.mean.copy(), reliability.variance.copy()
    observed = float(prediction.answer == cloud_answer)
    mean[places] = np.clip(mean[places] + gain * (observed - agrees), -LIMIT, LIMIT)
    spread[places] = variance * (1 - gain * slope)
    return Reliability(mean, spread)


def _places(reliability: Reliability, prediction: Prediction) -> list[int]:
    classes = len(reliability.mean) - len(_RANGES) - 1
    passed = sum(prediction.confidence > end for end in _RANGES)
    return [prediction.answer, classes + passed]


def _offset(reliability: Reliability, prediction: Prediction) -> float:
    first, second = _places(reliability, prediction)
    return float(reliability.mean[first] + reliability.mean[second])


def _logit(probability: float) -> float:
    bounded = min(max(probability, _EXTREME), 1 - _EXTREME)
    return float(np.log(bounded / (1 - bounded)))


def _sigmoid(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
