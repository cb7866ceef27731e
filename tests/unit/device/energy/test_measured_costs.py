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


def test_written_costs_are_read_back(tmp_path: Path) -> None:
    write_costs(tmp_path, COSTS)

    assert read_costs(tmp_path, "a Pi") == COSTS
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_capacity_is_none_for_other_bundles_and_unmeasured_capacities() -> None:
    assert COSTS.capacity("hand-1", 2) == COSTS.capacities[1]
    assert COSTS.capacity("hand-2", 2) is None
    assert COSTS.capacity("hand-1", 3) is None


def test_read_costs_without_a_file_is_none(tmp_path: Path) -> None:
    assert read_costs(tmp_path, "a Pi") is None


def test_costs_of_another_machine_are_ignored_with_a_warning(
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
def test_damaged_file_or_other_format_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    assert read_costs(tmp_path, "a Pi") is None
    assert "is ignored" in caplog.text
