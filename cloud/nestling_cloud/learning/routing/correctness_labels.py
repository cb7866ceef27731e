"""Make the multiplexer's training targets: how probable it is that each option is right."""

import numpy as np
import torch
from torch.nn import functional

from nestling_cloud.learning.routing.data import Floats, RoutingData

# Weight of the labels in the training targets; the teacher's probabilities have the rest.
LABEL_PART = 0.5
# Temperatures tried for the teacher's logits.
_TEMPERATURES = np.geomspace(0.25, 8, 41)


def success_targets(data: RoutingData, *, label_part: float = LABEL_PART) -> Floats:
    """Return the target probability that each capacity and the cloud are right, (N, K + 1).

    A label only shows whether one input was answered correctly, which is a noisy estimate of how
    often such inputs are. The teacher's probability of an option's answer, at the temperature that
    fits these inputs best (Guo et al. 2017, arXiv 1706.04599), is a smooth estimate, but it is
    wrong where the teacher is. docs/results/routing.md compares the mean of both with either alone.

    Args:
        data: outputs of every option, and the labels.
        label_part: weight of the labels: 1 for the labels alone, 0 for the teacher alone.
    """
    labels = data.right.astype(np.float32)
    if label_part == 1:
        return labels
    answers = [*data.logits.argmax(axis=2), data.cloud.argmax(axis=1)]
    belief = softmax(data.cloud / temperature(data.cloud, data.labels))
    rows = np.arange(len(data))
    taught = np.stack([belief[rows, answer] for answer in answers], axis=1)
    return np.asarray(label_part * labels + (1 - label_part) * taught, np.float32)


def temperature(logits: Floats, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    """Return the temperature at which logits fit the labels best, between 1/4 and 8.

    Args:
        logits: of a classifier, (N, classes).
        labels: true classes, (N,).

    Returns:
        The temperature of least cross entropy.
    """
    given, targets = torch.from_numpy(logits), torch.from_numpy(labels)
    losses = [functional.cross_entropy(given / float(t), targets).item() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def softmax(logits: Floats) -> Floats:
    """Return class probabilities, (N, classes); large logits do not overflow."""
    found: Floats = functional.softmax(torch.from_numpy(logits), dim=1).numpy()
    return found
