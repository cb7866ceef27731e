"""Computes the multiplexer's training targets, which estimate each option's success probability."""

import numpy as np
import torch
from torch.nn import functional

from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_core.kinds.labels import SingleLabel

# Weight of the labels in the training targets; the teacher's probabilities have the rest.
LABEL_PART = 0.5
# Temperatures tried for the teacher's logits.
_TEMPERATURES = np.geomspace(0.25, 8, 41)


def success_targets(data: RoutingData, *, label_part: float = LABEL_PART) -> Floats:
    """Return the target success probabilities of each capacity and of the cloud, (N, K + 1).

    There are two estimates of the probability that an option is right. A label shows only whether
    the option is right on this one input, so it is a noisy estimate. The teacher's probability for
    the class that the option answers with is a smooth estimate, but it is wrong where the teacher
    is wrong. This probability is computed at the temperature at which the teacher fits the labels
    best (Guo et al. 2017, arXiv 1706.04599). The target is a weighted mean of both estimates.
    docs/results/routing.md compares this mean with each of the two estimates.

    If the task is not a single-label task, the targets are the labels alone.

    Args:
        data: the outputs of every option and the labels.
        label_part: the weight of the labels, where 1 uses only the labels and 0 only the teacher.
    """
    labels = data.right.astype(np.float32)
    if label_part == 1 or not isinstance(data.kind, SingleLabel):
        return labels
    answers = [*data.logits.argmax(axis=2), data.cloud.argmax(axis=1)]
    belief = softmax(data.cloud / temperature(data.cloud, data.labels))
    rows = np.arange(len(data))
    taught = np.stack([belief[rows, answer] for answer in answers], axis=1)
    return np.asarray(label_part * labels + (1 - label_part) * taught, np.float32)


def temperature(logits: Floats, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    """Return the temperature, from 1/4 to 8, at which logits fit the labels best.

    Args:
        logits: the logits of a classifier, (N, classes).
        labels: the true class index of each input, (N,).

    Returns:
        The temperature with the lowest cross entropy among 41 geometrically spaced ones.
    """
    given, targets = torch.from_numpy(logits), torch.from_numpy(labels)
    losses = [functional.cross_entropy(given / float(t), targets).item() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def softmax(logits: Floats) -> Floats:
    """Return the class probabilities of logits of any magnitude, (N, classes)."""
    found: Floats = functional.softmax(torch.from_numpy(logits), dim=1).numpy()
    return found
