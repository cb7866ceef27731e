from pathlib import Path

import pytest

from nestling_device.delivery.bundle_source import DeliveryError
from tests.support.agent_rig import BUDGET, Growth, budget, make_rig
from tests.support.hand_bundle import EASY, MEMORY_BYTES


def test_larger_memory_budget_fetches_more_capacities(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    rig = make_rig(tmp_path, held=1, grow=growth)

    before = rig.agent.answer(0, EASY, budget(memory_bytes=1000))
    after = rig.agent.answer(1, EASY, budget(memory_bytes=2500))

    assert [before.resident_capacity, after.resident_capacity] == [1, 2]
    assert growth.budgets == [2500]
    assert rig.agent.bundle.held == 2


def test_failed_growth_is_retried_after_a_pause(tmp_path: Path) -> None:
    growth = Growth(tmp_path, failures=2)
    rig = make_rig(tmp_path, held=1, grow=growth)

    answers = [rig.agent.answer(n, EASY, BUDGET) for n in range(7)]

    assert [receipt.resident_capacity for receipt in answers] == [1, 1, 1, 1, 1, 3, 3]
    assert len(growth.budgets) == 3


def test_damaged_ring_disables_its_capacity_until_it_is_fetched_again(
    tmp_path: Path,
) -> None:
    growth = Growth(tmp_path)
    rig = make_rig(tmp_path, grow=growth)
    manifest = rig.agent.bundle.manifest
    (tmp_path / manifest.capacities[1].ring.sha256).write_bytes(b"rust")

    first, second = (rig.agent.answer(n, EASY, BUDGET) for n in range(2))

    assert [first.resident_capacity, second.resident_capacity] == [1, 3]
    assert growth.budgets == [MEMORY_BYTES[-1]]


def test_missing_first_ring_raises_an_error_with_advice(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    (tmp_path / rig.agent.bundle.manifest.capacities[0].ring.sha256).unlink()

    with pytest.raises(DeliveryError, match="install the bundle again"):
        rig.agent.answer(0, EASY, BUDGET)

    assert rig.kept == []
