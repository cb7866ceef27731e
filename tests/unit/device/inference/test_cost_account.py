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


def written(account: CostAccount) -> Receipt:
    receipt = Receipt()
    account.enter(receipt, 2704)
    return receipt


def test_empty_account_writes_zero_for_every_source() -> None:
    receipt = written(CostAccount(METER, BUDGET))

    assert [(entry.source, entry.energy_mj) for entry in receipt.energy] == [
        ("compute", 0.0),
        ("radio", 0.0),
    ]
    assert (receipt.latency_ms, receipt.bytes_up, receipt.bytes_down) == (0, 0, 0)


@given(runs=_runs, exchanges=_exchanges)
def test_totals_are_the_sums_of_the_steps_by_source(
    runs: list[int], exchanges: list[tuple[int, int]]
) -> None:
    account = CostAccount(METER, BUDGET)
    for macs in runs:
        assert account.run(macs, lambda: "result") == "result"
    for up, down in exchanges:
        account.exchange(up, down, 1.0)

    receipt = written(account)
    computed = [METER.estimate(macs) for macs in runs]
    sent = [METER.radio(up + down, BUDGET, 1.0) for up, down in exchanges]
    assert [entry.energy_mj for entry in receipt.energy] == [
        pytest.approx(sum(step.energy_mj for step in computed)),
        pytest.approx(sum(step.energy_mj for step in sent)),
    ]
    assert receipt.latency_ms == pytest.approx(sum(s.latency_ms for s in [*computed, *sent]))
    assert receipt.bytes_up == sum(up for up, _ in exchanges)
    assert receipt.bytes_down == sum(down for _, down in exchanges)


def test_energy_and_latency_have_a_provenance() -> None:
    receipt = written(CostAccount(ClockMeter(METER.board, METER.link), BUDGET))

    assert receipt.latency_provenance == PROVENANCE_MEASURED
    assert {entry.provenance for entry in receipt.energy} == {PROVENANCE_MODELLED}


def test_failed_step_adds_nothing() -> None:
    account = CostAccount(METER, BUDGET)

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        account.run(10**6, fail)

    assert written(account).latency_ms == 0


def test_total_has_the_provenance_of_its_least_certain_step() -> None:
    class Mixed(ClockMeter):
        """Reports large runs as measured and small ones as calibrated."""

        def compute(self, macs: int, wall_ms: float) -> StepCost:
            del wall_ms
            known = PROVENANCE_MEASURED if macs > 10 else PROVENANCE_CALIBRATED
            return StepCost(latency_ms=1, energy_mj=1, energy_provenance=known)

    def provenances(*macs: int) -> list[int]:
        account = CostAccount(Mixed(METER.board, METER.link), BUDGET)
        for number in macs:
            account.run(number, lambda: None)
        return [entry.provenance for entry in written(account).energy]

    assert provenances(11, 11) == [PROVENANCE_MEASURED, PROVENANCE_MODELLED]
    assert provenances(11, 1, 11) == [PROVENANCE_CALIBRATED, PROVENANCE_MODELLED]
