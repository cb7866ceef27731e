import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling_core.nest.capacity import are_probabilities
from nestling_device.bundle.multiplexer import success
from tests.support.hand_bundle import CAPACITIES, MEMORY_BYTES, hand_bundle

MANIFEST, _ = hand_bundle()
AMPLE = Budget(memory_bytes=MEMORY_BYTES[-1], latency_ms=100, link_mbit_s=1)
RIGHT = np.array([0.25, 0.5, 0.75, 1.0], np.float32)
_probabilities = st.lists(
    st.floats(0, 1, width=32), min_size=CAPACITIES + 1, max_size=CAPACITIES + 1
)


def of(right: NDArray[np.float32], budget: Budget) -> NDArray[np.float32]:
    return success(right, MANIFEST, budget, offload_size_bytes=324)


@given(_probabilities)
def test_success_under_an_ample_budget_is_the_probability_of_being_right(
    right: list[float],
) -> None:
    probabilities = of(np.array(right, np.float32), AMPLE)

    assert probabilities.dtype == np.float32
    assert probabilities.tolist() == right


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(memory_bytes=MEMORY_BYTES[1], latency_ms=100, link_mbit_s=1), [0.25, 0.5, 0, 1.0]),
        (Budget(memory_bytes=MEMORY_BYTES[1] - 1, latency_ms=100), [0.25, 0, 0, 0]),
        (Budget(memory_bytes=MEMORY_BYTES[2], latency_ms=1, link_mbit_s=1), [0.25, 0.5, 0.75, 0]),
        (Budget(), [0, 0, 0, 0]),
    ],
    ids=["little memory", "less, and no link", "slow link", "nothing"],
)
def test_option_that_the_budget_does_not_admit_cannot_succeed(
    budget: Budget, expected: list[float]
) -> None:
    assert of(RIGHT, budget).tolist() == expected


def test_nan_counts_as_no_success() -> None:
    right = np.array([0.25, np.nan, 0.75, np.nan], np.float32)

    assert of(right, AMPLE).tolist() == [0.25, 0, 0.75, 0]


@pytest.mark.parametrize(
    "right",
    [
        [[0.5, 0.5, 0.5]],
        [0.5] * 4,
        [[0.5, 0.5, 0.5, 1.01]],
        [[0.5, 0.5, 0.5, -0.01]],
        [[0.5, 0.5, 0.5, float("nan")]],
    ],
    ids=["too few", "no batch", "above 1", "below 0", "nan"],
)
def test_invalid_probabilities_are_detected(right: list[list[float]]) -> None:
    assert are_probabilities(RIGHT[None], CAPACITIES)
    assert not are_probabilities(np.array(right, np.float32), CAPACITIES)
