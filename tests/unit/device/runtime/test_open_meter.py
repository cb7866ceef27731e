import dataclasses

import pytest

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED, PROVENANCE_MODELLED
from nestling_device.config.schema import Config, with_values
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.runtime.open_meter import open_meter
from tests.unit.device.energy.test_measured_costs import COSTS

# Nothing here has such a chip, nor such a bus.
ABSENT = with_values(Config(), {("meter", "kind"): "ina219", ("meter", "i2c_bus"): 250})


def provenance(config: Config, costs: MeasuredCosts | None) -> int:
    with open_meter(config, costs) as meter:
        return meter.compute(1000, 1.0).energy_provenance


def test_without_a_profile_energy_is_modelled() -> None:
    assert provenance(Config(), None) == PROVENANCE_MODELLED


def test_profile_taken_without_an_instrument_changes_no_provenance() -> None:
    costs = dataclasses.replace(COSTS, idle_w=None, active_w=None)

    assert provenance(Config(), costs) == PROVENANCE_MODELLED


def test_profile_taken_with_an_instrument_counts_after_it_is_gone() -> None:
    assert provenance(Config(), COSTS) == PROVENANCE_CALIBRATED


def test_instrument_that_is_not_there_costs_no_start(caplog: pytest.LogCaptureFixture) -> None:
    assert provenance(ABSENT, COSTS) == PROVENANCE_CALIBRATED
    assert "calibrated from the profile meanwhile" in caplog.text


@pytest.mark.parametrize("costs", [None, dataclasses.replace(COSTS, meter="rapl")])
def test_instrument_without_a_profile_of_its_own_does_not_count(
    costs: MeasuredCosts | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert provenance(ABSENT, costs) == PROVENANCE_MODELLED
    assert "nestling-device profile --write once" in caplog.text
