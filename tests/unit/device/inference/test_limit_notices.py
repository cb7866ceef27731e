"""Limits and targets that rule out an option are logged once, with both figures."""

import logging
from pathlib import Path

import pytest

from nestling.v1.budget_pb2 import Budget
from nestling_device.inference.limits import Excess
from tests.support.agent_rig import BUDGET, METER, SIZE, budget, make_rig
from tests.support.hand_bundle import HARD, MACS, MEMORY_BYTES


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("limits", "needed", "key"),
    [
        (budget(energy_mj=4.9), f"{METER.radio_mj(SIZE, BUDGET):.4g} mJ are needed", "energy_mj"),
        (budget(latency_ms=5), "ms are needed and 5 ms allowed", "latency_ms"),
        (
            budget(memory_bytes=MEMORY_BYTES[0] - 1),
            "1,000 bytes are needed and 999 bytes allowed",
            "memory_kb",
        ),
        (
            budget(energy_per_input_mj=1e-3),
            f"takes {METER.estimate(MACS[2]).energy_mj:.4g} mJ; nothing is sent",
            "target of 0.001 mJ",
        ),
        (budget(tolerated_risk=0.01), "cannot be certified", "every input is sent to the cloud"),
    ],
    ids=["energy", "latency", "memory", "target", "risk"],
)
def test_excess_is_logged_once_with_both_figures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, limits: Budget, needed: str, key: str
) -> None:
    rig = make_rig(tmp_path)

    for index in range(5):
        rig.agent.answer(index, HARD, limits)

    (text,) = [one for one in warnings(caplog) if key in one]
    assert needed in text


def test_missing_link_and_low_battery_are_not_warnings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = make_rig(tmp_path)

    for index, passing in enumerate((budget(link_mbit_s=0), budget(battery=1e-3))):
        rig.agent.answer(index, HARD, passing)

    assert warnings(caplog) == []


def test_budget_that_rules_out_nothing_logs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    make_rig(tmp_path).agent.answer(0, HARD, BUDGET)

    assert caplog.records == []


def test_excess_mentions_a_low_battery() -> None:
    assert "with the battery low" in str(Excess(limit="battery", needed=5, allowed=1))
