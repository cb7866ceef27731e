"""What a router is taught: how probable it is that an option is right."""

import numpy as np
import torch
from torch.nn import functional

from nestling_cloud.learning.routing.data import Floats, RoutingData

# Half of what a router is taught is said by the labels, half by the teacher.
LABEL_PART = 0.5
# Temperatures that the teacher's logits are tried at.
_TEMPERATURES = np.geomspace(0.25, 8, 41)


def success_targets(data: RoutingData, *, label_part: float = LABEL_PART) -> Floats:
    """Probability that capacity 1 to K and the cloud are right, (N, K + 1).

    A label says right or wrong of one input, which is a noisy word on how often such inputs go
    right. The teacher's own belief in an option's answer, at the temperature that fits these
    inputs best (Guo et al. 2017, arXiv 1706.04599), is a smooth one, but wrong where the teacher
    is. How the mean of both compares with either alone stands in docs/results/routing.md.

    Args:
        data: of the inputs.
        label_part: 1 for the labels alone, 0 for the teacher alone.
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
    """Temperature at which logits fit the labels best, by cross entropy, between 1/4 and 8."""
    given, wanted = torch.from_numpy(logits), torch.from_numpy(labels)
    losses = [functional.cross_entropy(given / float(t), wanted).item() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def softmax(logits: Floats) -> Floats:
    """Class probabilities, (N, classes), whatever the size of the logits."""
    found: Floats = functional.softmax(torch.from_numpy(logits), dim=1).numpy()
    return found
