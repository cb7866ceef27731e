import dataclasses

import pytest

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED, PROVENANCE_MODELLED
from nestling_device.config.schema import Config, with_values
from nestling_device.energy.measured_costs import MeasuredCosts
from nestling_device.runtime.open_meter import open_meter
from tests.unit.device.energy.test_measured_costs import COSTS

# No machine has this bus.
ABSENT = with_values(Config(), {("meter", "kind"): "ina219", ("meter", "i2c_bus"): 250})


def provenance(config: Config, costs: MeasuredCosts | None) -> int:
    with open_meter(config, costs) as meter:
        return meter.compute(1000, 1.0).energy_provenance


def test_energy_is_modelled_without_measured_costs() -> None:
    assert provenance(Config(), None) == PROVENANCE_MODELLED


def test_energy_is_modelled_with_costs_measured_without_an_instrument() -> None:
    costs = dataclasses.replace(COSTS, idle_w=None, active_w=None)

    assert provenance(Config(), costs) == PROVENANCE_MODELLED


def test_energy_is_calibrated_by_costs_measured_with_an_instrument() -> None:
    assert provenance(Config(), COSTS) == PROVENANCE_CALIBRATED


def test_missing_instrument_does_not_prevent_the_start(caplog: pytest.LogCaptureFixture) -> None:
    assert provenance(ABSENT, COSTS) == PROVENANCE_CALIBRATED
    assert "calibrated from profile.json meanwhile" in caplog.text


@pytest.mark.parametrize("costs", [None, dataclasses.replace(COSTS, meter="rapl")])
def test_instrument_is_not_used_before_costs_were_measured_with_it(
    costs: MeasuredCosts | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert provenance(ABSENT, costs) == PROVENANCE_MODELLED
    assert "nestling-device profile --write once" in caplog.text
