"""Rules that go by how sure the student is; they learn one number at most."""

import numpy as np

from nestling_cloud.learning.routing.correctness_labels import temperature
from nestling_cloud.learning.routing.data import Floats
from nestling_cloud.learning.routing.rivals.trial import Doubles, Trial, Urgency


def probabilities(logits: Floats, divisor: float = 1.0) -> Doubles:
    """Class probabilities in double precision, so that fewer of them are 1, (N, classes)."""
    scaled = logits.astype(np.float64) / divisor
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Doubles = powers / powers.sum(axis=1, keepdims=True)
    return found


def max_softmax(trial: Trial) -> Doubles:
    """Least sure of its answer first."""
    urgency: Doubles = -probabilities(trial.logits).max(axis=1)
    return urgency


def margin(trial: Trial) -> Doubles:
    """Least ahead of the second answer first."""
    ranked = np.sort(probabilities(trial.logits), axis=1)
    urgency: Doubles = ranked[:, -2] - ranked[:, -1]
    return urgency


def entropy(trial: Trial) -> Doubles:
    """Most spread over the classes first."""
    p = probabilities(trial.logits)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    urgency: Doubles = -(p * logs).sum(axis=1)
    return urgency


def sedna_cross_entropy(trial: Trial) -> Doubles:
    """Sedna's score c = 1 + sum p ln p / ln K, lowest first; of a probability of 0 it takes 0."""
    urgency: Doubles = entropy(trial) / np.log(trial.logits.shape[1]) - 1
    return urgency


def temperature_scaled(known: Trial, seed: int) -> Urgency:
    """Softmax at the temperature that fits known inputs best."""
    del seed
    divisor = temperature(known.logits, known.labels)

    def urgency(trial: Trial) -> Doubles:
        found: Doubles = -probabilities(trial.logits, divisor).max(axis=1)
        return found

    return urgency
