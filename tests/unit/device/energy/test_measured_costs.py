import dataclasses
import json
from pathlib import Path

import pytest

from nestling_device.energy.measured_costs import (
    FILE_NAME,
    MeasuredCosts,
    NetworkCost,
    read_costs,
    write_costs,
)

COST = NetworkCost(
    latency_ms=1.0,
    latency_p95_ms=1.5,
    resident_bytes=50_000_000,
    energy_mj=2.0,
    energy_provenance="measured",
)
COSTS = MeasuredCosts(
    bundle="hand-1",
    machine="a Pi",
    taken_at="2026-01-01T00:00:00+00:00",
    meter="ina219",
    idle_w=2.0,
    active_w=1.5,
    capacities=(COST, dataclasses.replace(COST, latency_ms=3.0)),
)


def test_profile_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_costs(tmp_path, COSTS)

    assert read_costs(tmp_path, "a Pi") == COSTS
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_capacity_is_known_for_the_profiled_bundle_only() -> None:
    assert COSTS.capacity("hand-1", 2) == COSTS.capacities[1]
    assert COSTS.capacity("hand-2", 2) is None
    assert COSTS.capacity("hand-1", 3) is None


def test_no_profile_is_none(tmp_path: Path) -> None:
    assert read_costs(tmp_path, "a Pi") is None


def test_another_machines_profile_counts_for_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_costs(tmp_path, COSTS)

    assert read_costs(tmp_path, "another Pi") is None
    assert "nestling-device profile --write" in caplog.text


def _without(key: str) -> str:
    data = json.loads(COSTS.to_json())
    del data[key]
    return json.dumps(data)


def _with_latency(value: object) -> str:
    data = json.loads(COSTS.to_json())
    data["capacities"][1]["latency_ms"] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        COSTS.to_json()[:-20],
        COSTS.to_json().replace('"format": 2', '"format": 1'),
        _without("bundle"),
        _without("meter"),
        _with_latency("fast"),
        _with_latency(-1),
    ],
)
def test_damaged_or_foreign_profile_is_left_out_with_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    assert read_costs(tmp_path, "a Pi") is None
    assert "is left out" in caplog.text
