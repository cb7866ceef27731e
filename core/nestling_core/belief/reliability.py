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
        mean: the mean of each offset, (G + 5,): the offsets of the G groups of answers, then of the
            5 ranges of confidence.
        variance: the variance of each offset, (G + 5,).
    """

    mean: Doubles
    variance: Doubles


class Prediction(NamedTuple):
    """A confidence that the cloud's answer can confirm or refute.

    Attributes:
        group: the group of the device's answer, see `nestling_core.kinds.kind.Kind.group`. In a
            single-label task, it is the class.
        confidence: the probability that the answer is right, without offsets.
    """

    group: int
    confidence: float


def as_calibrated(groups: int) -> Reliability:
    """Return the initial offsets, which leave the confidence as the bundle calibrated it.

    Args:
        groups: the number of groups of answers, G.
    """
    size = groups + len(_RANGES) + 1
    return Reliability(np.zeros(size), np.full(size, _PRIOR**2))


def corrected(reliability: Reliability, prediction: Prediction) -> float:
    """Return the probability that the device's answer is right, from 0 to 1.

    Args:
        reliability: the offsets learned so far.
        prediction: the device's answer with its confidence.
    """
    offset = _offset(reliability, prediction)
    return (
        prediction.confidence if offset == 0 else _sigmoid(_logit(prediction.confidence) + offset)
    )


def after_cloud_answer(
    reliability: Reliability,
    prediction: Prediction,
    *,
    agrees: bool,
    cloud_right: float,
    alternatives: float,
) -> Reliability:
    """Return the offsets after one more answer of the cloud.

    Args:
        reliability: the offsets before this answer.
        prediction: the device's answer with its confidence, before the cloud's answer.
        agrees: whether the device's answer is the cloud's.
        cloud_right: the estimated probability that the cloud's answer is right.
        alternatives: the number of possible answers other than the right one.
    """
    places = _places(reliability, prediction)
    right = corrected(reliability, prediction)
    cloud = min(max(cloud_right, _EXTREME), 1 - _EXTREME)
    chance = (1 - cloud) / alternatives  # that a wrong answer of the cloud is the same one
    expected = right * cloud + (1 - right) * chance
    slope = right * (1 - right) * (cloud - chance)
    noise = expected * (1 - expected)
    variance = reliability.variance[places]
    total = slope**2 * variance.sum() + noise
    if not total > 0:
        return reliability
    gain = variance * slope / total
    mean, spread = reliability.mean.copy(), reliability.variance.copy()
    mean[places] = np.clip(mean[places] + gain * (agrees - expected), -LIMIT, LIMIT)
    spread[places] = variance * (1 - gain * slope)
    return Reliability(mean, spread)


def _places(reliability: Reliability, prediction: Prediction) -> list[int]:
    groups = len(reliability.mean) - len(_RANGES) - 1
    passed = sum(prediction.confidence > end for end in _RANGES)
    return [prediction.group, groups + passed]


def _offset(reliability: Reliability, prediction: Prediction) -> float:
    first, second = _places(reliability, prediction)
    return float(reliability.mean[first] + reliability.mean[second])


def _logit(probability: float) -> float:
    bounded = min(max(probability, _EXTREME), 1 - _EXTREME)
    return float(np.log(bounded / (1 - bounded)))


def _sigmoid(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
