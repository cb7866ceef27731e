"""The threshold of each capacity of an anomaly student."""

import numpy as np
import pytest

from nestling_cloud.learning.anomaly_thresholds import closest_threshold, with_thresholds
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


def test_most_decisions_count_even_if_most_are_anomalies() -> None:
    scores = np.array([3.0, 2.9, 1.1, 2.8, 0.9, 2.7, 0.8, 0.7], np.float32)
    decisions = np.array([True, True, True, True, False, True, False, False])
    assert closest_threshold(scores, decisions) == pytest.approx(1.0)
    noisy = np.array([True, True, False, True, True, True, False, False])
    assert closest_threshold(scores, noisy) == pytest.approx(1.9)


@pytest.mark.parametrize(("called", "expected"), [(False, 2.001), (True, 0.999)])
def test_teacher_that_always_says_the_same_is_followed(called: bool, expected: float) -> None:
    scores = np.array([1.0, 2.0], np.float32)

    assert closest_threshold(scores, np.full(2, called)) == pytest.approx(expected)
