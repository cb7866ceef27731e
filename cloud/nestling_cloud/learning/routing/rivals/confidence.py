"""Ranks inputs by the student's confidence, with rules that fit at most one parameter."""

import numpy as np

from nestling_cloud.learning.routing.correctness_labels import temperature
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.rivals.trial import Doubles, Trial, Urgency


def probabilities(logits: Floats, divisor: float = 1.0) -> Doubles:
    """Return the class probabilities of logits in double precision, (N, classes).

    In this precision, fewer probabilities round to 1, so fewer inputs tie in a ranking.

    Args:
        logits: the logits, (N, classes).
        divisor: the temperature by which the logits are divided.
    """
    scaled = logits.astype(np.float64) / divisor
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Doubles = powers / powers.sum(axis=1, keepdims=True)
    return found


def max_softmax(trial: Trial) -> Doubles:
    """Return the urgency of each input, which is minus its largest class probability, (N,)."""
    urgency: Doubles = -probabilities(trial.logits).max(axis=1)
    return urgency


def margin(trial: Trial) -> Doubles:
    """Return the urgency of each input, which is minus its margin, (N,).

    The margin is the difference between the largest and the second-largest class probability.
    """
    ranked = np.sort(probabilities(trial.logits), axis=1)
    urgency: Doubles = ranked[:, -2] - ranked[:, -1]
    return urgency


def entropy(trial: Trial) -> Doubles:
    """Return the urgency of each input, which is the entropy of its class probabilities, (N,)."""
    p = probabilities(trial.logits)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    urgency: Doubles = -(p * logs).sum(axis=1)
    return urgency


def sedna_cross_entropy(trial: Trial) -> Doubles:
    """Return the urgency of each input, which is minus Sedna's score, (N,).

    The score is 1 + sum(p ln p) / ln K over the class probabilities p, where K is the number of
    classes and p = 0 contributes 0.
    """
    urgency: Doubles = entropy(trial) / np.log(trial.logits.shape[1]) - 1
    return urgency


def temperature_scaled(known: Trial, seed: int) -> Urgency:
    """Return a rule that ranks inputs by their largest class probability at a fitted temperature.

    The input whose largest class probability is lowest is the most urgent.

    Args:
        known: the inputs to fit the temperature on.
        seed: a random seed, which is not used.
    """
    del seed
    divisor = temperature(known.logits, known.labels)

    def urgency(trial: Trial) -> Doubles:
        found: Doubles = -probabilities(trial.logits, divisor).max(axis=1)
        return found

    return urgency
