from pathlib import Path

from tests.support.agent_rig import METER, Growth, budget, make_rig
from tests.support.hand_bundle import EASY, MACS


def test_resident_capacity_follows_the_memory_budget_down_and_up(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    rig = make_rig(tmp_path, grow=growth)

    memories = [4000, 1999, 2000, 999, 4000]
    answers = [rig.agent.answer(0, EASY, budget(memory_bytes=memory)) for memory in memories]

    assert [receipt.resident_capacity for receipt in answers] == [3, 1, 2, 1, 3]
    assert growth.budgets == []  # every ring was on the disk


def test_resident_capacity_follows_the_energy_budget(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    limit_mj = METER.estimate(MACS[1]).energy_mj

    limited = rig.agent.answer(0, EASY, budget(energy_mj=limit_mj))
    low_battery = rig.agent.answer(1, EASY, budget(energy_mj=limit_mj, battery=0.01))

    assert [limited.resident_capacity, low_battery.resident_capacity] == [2, 1]
