"""Rank inputs by the student's confidence; these rules learn at most one number."""

import numpy as np

from nestling_cloud.learning.routing.correctness_labels import temperature
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.rivals.trial import Doubles, Trial, Urgency


def probabilities(logits: Floats, divisor: float = 1.0) -> Doubles:
    """Return class probabilities in double precision, so that fewer round to 1, (N, classes).

    Args:
        logits: (N, classes).
        divisor: temperature.
    """
    scaled = logits.astype(np.float64) / divisor
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Doubles = powers / powers.sum(axis=1, keepdims=True)
    return found


def max_softmax(trial: Trial) -> Doubles:
    """Rank the inputs with the smallest top probability first."""
    urgency: Doubles = -probabilities(trial.logits).max(axis=1)
    return urgency


def margin(trial: Trial) -> Doubles:
    """Rank the inputs with the smallest lead over the second answer first."""
    ranked = np.sort(probabilities(trial.logits), axis=1)
    urgency: Doubles = ranked[:, -2] - ranked[:, -1]
    return urgency


def entropy(trial: Trial) -> Doubles:
    """Rank the inputs with the largest entropy first."""
    p = probabilities(trial.logits)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    urgency: Doubles = -(p * logs).sum(axis=1)
    return urgency


def sedna_cross_entropy(trial: Trial) -> Doubles:
    """Rank by Sedna's score c = 1 + sum p ln p / ln K, lowest first; p = 0 contributes 0."""
    urgency: Doubles = entropy(trial) / np.log(trial.logits.shape[1]) - 1
    return urgency


def temperature_scaled(known: Trial, seed: int) -> Urgency:
    """Fit a temperature on known inputs; rank the smallest top probability first.

    Args:
        known: inputs to fit the temperature on.
        seed: not used.
    """
    del seed
    divisor = temperature(known.logits, known.labels)

    def urgency(trial: Trial) -> Doubles:
        found: Doubles = -probabilities(trial.logits, divisor).max(axis=1)
        return found

    return urgency
