"""Sets the threshold of each capacity of an anomaly student.

A small student imitates the teacher's scores only roughly, and least well near the threshold, where
they matter most. Each capacity therefore gets a threshold of its own: the one with which it decides
most like the teacher. The labels served to set the teacher's threshold; a student that fits its own
to the same few recordings decided worse on others (docs/lab-log.md).
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.quantization import QuantizedStudent
from nestling_cloud.models.anomaly_scorer import best_threshold


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
    truth = torch.from_numpy(teacher[:, 0] > 0)
    capacities = [
        dataclasses.replace(
            capacity,
            head_bias=capacity.head_bias - best_threshold(torch.from_numpy(found[:, 0]), truth),
        )
        for capacity, found in zip(student.capacities, outputs, strict=True)
    ]
    return dataclasses.replace(student, capacities=tuple(capacities))
