"""Sets the threshold of each capacity of an anomaly student.

A small student imitates the teacher's scores only roughly, and least well near the threshold, where
they matter most. Each capacity therefore gets a threshold of its own: the one with which it decides
most like the teacher. The labels served to set the teacher's threshold; a student that fits its own
to the same few recordings decided worse on others (docs/lab-log.md).
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.quantization import QuantizedStudent


def with_thresholds(
    student: QuantizedStudent, outputs: NDArray[np.float32], teacher: NDArray[np.float32]
) -> QuantizedStudent:
    """Return a student whose capacities decide like the teacher, as well as their scores allow.

    Args:
        student: the quantized student of an anomaly task.
        outputs: the logarithms of each capacity's scores for inputs that it was not trained on,
            (K, N, 1).
        teacher: the logarithms of the teacher's scores for the same inputs, (N, 1).
    """
    capacities = [
        dataclasses.replace(
            capacity,
            head_bias=capacity.head_bias - closest_threshold(found[:, 0], teacher[:, 0] > 0),
        )
        for capacity, found in zip(student.capacities, outputs, strict=True)
    ]
    return dataclasses.replace(student, capacities=tuple(capacities))


def closest_threshold(scores: NDArray[np.float32], decisions: NDArray[np.bool_]) -> float:
    """Return the threshold of scores that agrees with most decisions.

    Unlike the threshold with the best F1 score of the agreement, it does not call everything an
    anomaly where most decisions are.

    Args:
        scores: the scores of some inputs, (N,).
        decisions: whether the teacher calls each of them an anomaly, (N,).
    """
    order = np.argsort(-scores, kind="stable")
    ranked, called = scores[order].astype(np.float64), decisions[order]
    # Calling the first k anomalies agrees with those among them, and with the normal rest.
    agreed = np.concatenate([[0], np.cumsum(np.where(called, 1, -1))])
    borders = np.concatenate(
        [[ranked[0] + 1e-3], (ranked[:-1] + ranked[1:]) / 2, [ranked[-1] - 1e-3]]
    )
    return float(borders[agreed.argmax()])
