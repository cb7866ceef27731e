from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hand_bundle import CAPACITIES, CLASSES, hand_parts, window

from nestling.v1.budget_pb2 import Budget
from nestling_device.multiplexer import Multiplexer

BUDGET = Budget(memory_bytes=1000, latency_ms=10, energy_mj=1, link_mbit_s=1, battery=1)
_shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def multiplexer(tmp_path: Path) -> Multiplexer:
    return hand_parts(tmp_path).multiplexer


@_shared
@given(said=st.tuples(*[st.floats(0, 1, width=32)] * (CAPACITIES + 1)))
def test_success_has_a_probability_for_every_capacity_and_then_the_cloud(
    multiplexer: Multiplexer, said: tuple[float, ...]
) -> None:
    judged = multiplexer.judge(window(*said), BUDGET)

    assert judged.success.dtype == np.float32
    assert judged.success.tolist() == judged.right.tolist() == list(said)


@pytest.mark.parametrize("capacity", range(1, CAPACITIES + 1))
def test_acceptance_is_about_every_option_again(multiplexer: Multiplexer, capacity: int) -> None:
    right = np.array([0.125, 0.25, 0.5, 0.75], np.float32)

    found = multiplexer.acceptance(np.zeros(CLASSES, np.float32), right, capacity)

    assert found.tolist() == right.tolist()


def test_multiplexer_that_overflows_believes_in_nothing(multiplexer: Multiplexer) -> None:
    said = (float("nan"), 0.25, float("nan"), 0.5)

    judged = multiplexer.judge(window(*said), BUDGET)

    assert judged.success.tolist() == judged.right.tolist() == [0.0, 0.25, 0.0, 0.5]
