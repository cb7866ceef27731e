"""Sets the threshold of each capacity of an anomaly student.

A small student imitates the teacher's scores only roughly, and more so near the threshold, where
they matter most. Each capacity therefore gets a threshold of its own.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.quantization import QuantizedStudent
from nestling_cloud.models.anomaly_scorer import best_threshold


def with_thresholds(
    student: QuantizedStudent, outputs: NDArray[np.float32], labels: NDArray[np.int64]
) -> QuantizedStudent:
    """Return a student that tells normal inputs and anomalies apart as well as its scores allow.

    Args:
        student: the quantized student of an anomaly task.
        outputs: the logarithms of each capacity's scores for inputs that it was not trained on,
            (K, N, 1).
        labels: 0 for a normal input and 1 for an anomaly, (N,).
    """
    truth = torch.from_numpy(labels)
    capacities = [
        dataclasses.replace(
            capacity,
            head_bias=capacity.head_bias - best_threshold(torch.from_numpy(found[:, 0]), truth),
        )
        for capacity, found in zip(student.capacities, outputs, strict=True)
    ]
    return dataclasses.replace(student, capacities=tuple(capacities))
