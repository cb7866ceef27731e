"""The threshold of each capacity of an anomaly student."""

import numpy as np
import pytest

from nestling_cloud.learning.anomaly_thresholds import with_thresholds
from nestling_cloud.learning.quantization import (
    ActivationRange,
    QuantizedCapacity,
    QuantizedStudent,
)

GRID = ActivationRange(scale=1.0, zero_point=0)
ONES = np.ones(1, np.float32)


def test_each_capacity_decides_like_the_teacher_whatever_the_offset_of_its_scores() -> None:
    capacity = QuantizedCapacity(
        input=GRID, layers=(), pooled=GRID, head_scale=ONES, head_bias=np.zeros(1, np.float32)
    )
    student = QuantizedStudent(
        plans=(), tensors={}, capacities=(capacity, capacity), mean=ONES, deviation=ONES
    )
    teacher = np.array([[-2.0], [-1], [-0.5], [0.5], [2]], np.float32)
    outputs = np.stack([teacher - 3, teacher + 1])

    found = with_thresholds(student, outputs, teacher)

    biases = [float(one.head_bias[0]) for one in found.capacities]
    assert biases == pytest.approx([3.0, -1.0])
    for bias, scores in zip(biases, outputs, strict=True):
        assert ((scores + bias > 0) == (teacher > 0)).all()
