"""Fits the plain rules, which estimate success from the confidence of the capacity that ran."""

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.routing.correctness_labels import success_targets, temperature
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.models.plain_confidence import PlainConfidence, PlainRule, confidence_odds

# Strength of the pull toward a slope of 1 and an offset of 0, in inputs.
_RIDGE = 2.0
# With a smaller slope, inputs would hardly be ranked.
_LEAST_SLOPE = 0.05
_STEPS = 30
# Smaller steps do not matter.
_PRECISE = 1e-9

Doubles = NDArray[np.float64]


def fit_plain_rule(data: RoutingData, rule: PlainRule, label_part: float) -> PlainConfidence:
    """Return a plain rule fitted on inputs that neither teacher nor student trained on.

    Args:
        data: the outputs of every option for these inputs.
        rule: the figure that serves as confidence.
        label_part: the weight of the labels in the targets, as for `success_targets`.
    """
    scaled = rule == "scaled softmax"
    temperatures = np.array(
        [temperature(logits, data.labels) if scaled else 1.0 for logits in data.logits], np.float32
    )
    targets = success_targets(data, label_part=label_part).astype(np.float64)
    slopes = np.zeros((data.capacities, data.capacities + 1), np.float32)
    offsets = np.zeros_like(slopes)
    for ran, logits in enumerate(data.logits):
        odds = confidence_odds(rule, torch.from_numpy(logits / temperatures[ran])).numpy()[:, 0]
        for option in range(data.capacities):
            slopes[ran, option], offsets[ran, option] = _logistic(odds, targets[:, option])
        mean = float(np.clip(targets[:, -1].mean(), 0.01, 0.99))
        offsets[ran, -1] = np.log(mean / (1 - mean))
    return PlainConfidence(rule, temperatures, slopes, offsets)


def _logistic(odds: Floats, targets: Doubles) -> list[float]:
    """Return slope and offset of a logistic regression; the slope is at least `_LEAST_SLOPE`."""
    ones = np.ones_like(odds)
    slope, offset = _fitted(np.stack([odds, ones], axis=1), targets, np.array([1.0, 0.0]))
    if slope >= _LEAST_SLOPE:
        return [slope, offset]
    (offset,) = _fitted(ones[:, None], targets, np.zeros(1), _LEAST_SLOPE * odds)
    return [_LEAST_SLOPE, offset]


def _fitted(
    features: Floats, targets: Doubles, prior: Doubles, known: Floats | float = 0.0
) -> list[float]:
    """Fit a logistic regression with Newton's method, and return its coefficients.

    Args:
        features: the features, (N, D).
        targets: the probabilities to fit, (N,).
        prior: the coefficients without any data, (D,).
        known: a part of the log-odds that is not fitted, (N,).
    """

    def loss(coefficients: Doubles) -> float:
        odds = features @ coefficients + known
        misfit = np.logaddexp(0, odds).sum() - targets @ odds
        return float(misfit + _RIDGE / 2 * ((coefficients - prior) ** 2).sum())

    features = features.astype(np.float64)
    found = prior
    for _ in range(_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(features @ found + known, -30, 30)))
        gradient = features.T @ (predicted - targets) + _RIDGE * (found - prior)
        curvature = (features * (predicted * (1 - predicted))[:, None]).T @ features
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(prior)), gradient)
        # A full step can overshoot, and would then go back and forth forever.
        while loss(found - step) > loss(found) and np.abs(step).max() > _PRECISE:
            step = step / 2
        found = found - step
    coefficients: list[float] = found.tolist()
    return coefficients
