"""Fits the plain rules, which estimate success from the confidence of the capacity that ran."""

import numpy as np
import torch

from nestling_cloud.learning.routing.correctness_labels import success_targets, temperature
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.models.plain_confidence import PlainConfidence, PlainRule, confidence_odds

# Strength of the pull toward a slope of 1 and an offset of 0, in inputs.
_RIDGE = 2.0
# With a smaller slope, inputs would hardly be ranked.
_LEAST_SLOPE = 0.05
_STEPS = 30


def fit_plain_rule(data: RoutingData, rule: PlainRule, label_part: float) -> PlainConfidence:
    """Return a plain rule fitted on inputs that neither teacher nor student trained on.

    Args:
        data: the outputs of every option for these inputs.
        rule: the figure that is the confidence.
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


def _logistic(odds: Floats, targets: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """Return the slope and the offset of a logistic regression, by Newton's method."""
    features = np.stack([odds, np.ones_like(odds)], axis=1).astype(np.float64)
    prior = np.array([1.0, 0.0])
    found = prior.copy()
    for _ in range(_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(features @ found, -30, 30)))
        gradient = features.T @ (predicted - targets) + _RIDGE * (found - prior)
        curvature = (features * (predicted * (1 - predicted))[:, None]).T @ features
        step = np.linalg.solve(curvature + _RIDGE * np.eye(2), gradient)
        found = found - np.clip(step, -2, 2)
    return [max(_LEAST_SLOPE, float(found[0])), float(found[1])]
