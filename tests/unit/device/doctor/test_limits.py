from pathlib import Path
from typing import Any

import pytest

from nestling.v1.bundle_pb2 import Calibration
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import plain_form
from nestling_device.doctor import limits
from nestling_device.energy.offload_energy import offload_mj
from nestling_device.energy.power_tables import load_link
from tests.support.checked_device import CAPACITY_MJ, finding, install, subject
from tests.support.hand_bundle import SHAPE, larger_runs
from tests.support.hand_guarantee import add_plan


@pytest.mark.parametrize(
    ("link", "energy_mj", "level"),
    [("wifi", 1000, "ok"), ("lte", 1000, "warn"), ("lte", 20_000, "ok")],
)
def test_offload_over_the_limits_warns(
    tmp_path: Path, link: str, energy_mj: float, level: str
) -> None:
    before = finding(limits.offload, subject(tmp_path, board__link=link))
    install(tmp_path)
    checked = subject(tmp_path, board__link=link, budget__energy_mj=energy_mj)

    found = finding(limits.offload, checked)

    assert (before.level, found.level) == ("ok", level)
    assert f"one input over {link}: " in found.found
    assert ("nothing is ever sent" in found.found) == (level == "warn")


def test_offload_over_the_limits_after_the_device_run_warns(tmp_path: Path) -> None:
    install(tmp_path)
    radio_mj = offload_mj(
        load_link("wifi"), offload_bytes(plain_form(SHAPE)), load_link("wifi").mbit_s
    )

    found = finding(limits.offload, subject(tmp_path, budget__energy_mj=radio_mj * 1.001))

    assert found.level == "warn"
    assert "mJ are needed and" in found.found


def test_offload_names_the_capacities_after_which_it_exceeds_a_limit(
    tmp_path: Path,
) -> None:
    install(tmp_path, calibration=larger_runs())
    radio_mj = offload_mj(
        load_link("wifi"), offload_bytes(plain_form(SHAPE)), load_link("wifi").mbit_s
    )
    both_mj = CAPACITY_MJ[0] + CAPACITY_MJ[2]

    found = [
        finding(limits.offload, subject(tmp_path, budget__energy_mj=radio_mj + own_mj)).found
        for own_mj in (CAPACITY_MJ[0] / 2, both_mj - radio_mj / 2, both_mj * 1.001)
    ]

    assert "after capacity 1, " in found[0]
    assert "nothing is ever sent" in found[0]
    assert "after capacity 1 and 3, " in found[1]
    assert "after capacity" not in found[2]


def test_offload_without_a_device_run_is_ok_at_share_1(tmp_path: Path) -> None:
    install(tmp_path)
    radio_mj = offload_mj(
        load_link("wifi"), offload_bytes(plain_form(SHAPE)), load_link("wifi").mbit_s
    )
    keys = {"budget__energy_mj": radio_mj * 1.000001, "budget__offload_share": 1.0}

    assert finding(limits.offload, subject(tmp_path, None, **keys)).level == "ok"


def test_targets_uses_the_mean_cost_of_a_cascade(tmp_path: Path) -> None:
    install(tmp_path, calibration=larger_runs())
    keys = {"budget__energy_per_input_mj": sum(CAPACITY_MJ[:2]) / 2}

    assert finding(limits.targets, subject(tmp_path, None, **keys)).level == "ok"


def test_targets_uses_the_plan_of_a_cascade(tmp_path: Path) -> None:
    calibration = Calibration.FromString(larger_runs())
    add_plan(calibration.cascades[2].curve, 0.5)
    install(tmp_path, calibration=calibration.SerializeToString())

    found = finding(limits.targets, subject(tmp_path, None, budget__tolerated_risk=0.1))

    assert found.level == "ok"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "can be met"),
        ({"budget__memory_kb": 0.5}, "1,000 bytes are needed and 500 bytes allowed"),
        ({"budget__latency_ms": 1e-3}, "the latency limit admits no capacity"),
        ({"budget__tolerated_risk": 0.1}, "a tolerated risk of 0.1 cannot be certified"),
        ({"budget__energy_per_input_mj": 1e-6}, "the target of 1e-06 mJ"),
        ({"budget__latency_per_input_ms": 1e-6}, "the target of 1e-06 ms"),
    ],
)
def test_targets_that_cannot_be_met_are_named_with_their_figures(
    tmp_path: Path, keys: dict[str, Any], words: str
) -> None:
    before = finding(limits.targets, subject(tmp_path, None, **keys))
    install(tmp_path)

    found = finding(limits.targets, subject(tmp_path, None, **keys))

    assert (before.level, found.level) == ("ok", "warn" if keys else "ok")
    assert words in found.found
