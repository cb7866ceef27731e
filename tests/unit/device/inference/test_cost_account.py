import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.budget_pb2 import Budget
from nestling.v1.receipt_pb2 import (
    PROVENANCE_CALIBRATED,
    PROVENANCE_MEASURED,
    PROVENANCE_MODELLED,
    Receipt,
)
from nestling_device.energy.meter import ClockMeter, ProfileMeter, StepCost
from nestling_device.energy.power_tables import load_board, load_link
from nestling_device.inference.cost_account import CostAccount

BUDGET = Budget(link_mbit_s=5, link_rtt_ms=20)
METER = ProfileMeter(load_board("pi-4b"), load_link("wifi"))

_runs = st.lists(st.integers(0, 10**8), max_size=5)
_exchanges = st.lists(st.tuples(st.integers(0, 10**5), st.integers(0, 10**5)), max_size=5)


def entered(account: CostAccount) -> Receipt:
    receipt = Receipt()
    account.enter(receipt, 2704)
    return receipt


def test_empty_account_has_a_zero_for_every_source() -> None:
    receipt = entered(CostAccount(METER, BUDGET))

    assert [(entry.source, entry.energy_mj) for entry in receipt.energy] == [
        ("compute", 0.0),
        ("radio", 0.0),
    ]
    assert (receipt.latency_ms, receipt.bytes_up, receipt.bytes_down) == (0, 0, 0)


@given(runs=_runs, exchanges=_exchanges)
def test_account_is_the_sum_of_its_steps_by_source(
    runs: list[int], exchanges: list[tuple[int, int]]
) -> None:
    account = CostAccount(METER, BUDGET)
    for macs in runs:
        assert account.run(macs, lambda: "result") == "result"
    for up, down in exchanges:
        account.exchange(up, down, 1.0)

    receipt = entered(account)
    computed = [METER.estimate(macs) for macs in runs]
    sent = [METER.radio(up + down, BUDGET, 1.0) for up, down in exchanges]
    assert [entry.energy_mj for entry in receipt.energy] == [
        pytest.approx(sum(step.energy_mj for step in computed)),
        pytest.approx(sum(step.energy_mj for step in sent)),
    ]
    assert receipt.latency_ms == pytest.approx(sum(s.latency_ms for s in [*computed, *sent]))
    assert receipt.bytes_up == sum(up for up, _ in exchanges)
    assert receipt.bytes_down == sum(down for _, down in exchanges)


def test_every_joule_and_the_latency_say_how_they_are_known() -> None:
    receipt = entered(CostAccount(ClockMeter(METER.board, METER.link), BUDGET))

    assert receipt.latency_provenance == PROVENANCE_MEASURED
    assert {entry.provenance for entry in receipt.energy} == {PROVENANCE_MODELLED}


def test_step_that_fails_is_not_billed() -> None:
    account = CostAccount(METER, BUDGET)

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        account.run(10**6, fail)

    assert entered(account).latency_ms == 0


def test_sum_is_as_certain_as_its_least_certain_step() -> None:
    class Mixed(ClockMeter):
        """Measures long steps and calibrates short ones."""

        def compute(self, macs: int, wall_ms: float) -> StepCost:
            del wall_ms
            known = PROVENANCE_MEASURED if macs > 10 else PROVENANCE_CALIBRATED
            return StepCost(latency_ms=1, energy_mj=1, energy_provenance=known)

    def provenances(*macs: int) -> list[int]:
        account = CostAccount(Mixed(METER.board, METER.link), BUDGET)
        for number in macs:
            account.run(number, lambda: None)
        return [entry.provenance for entry in entered(account).energy]

    assert provenances(11, 11) == [PROVENANCE_MEASURED, PROVENANCE_MODELLED]
    assert provenances(11, 1, 11) == [PROVENANCE_CALIBRATED, PROVENANCE_MODELLED]
