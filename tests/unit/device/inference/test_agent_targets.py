from pathlib import Path

import numpy as np
import pytest

from nestling_device.inference.offloader import BadAnswerError
from tests.support.agent_rig import METER, SENT_MS, SIZE, SLOW, budget, like, make_rig, routes
from tests.support.hand_bundle import EASY, HARD, MACS, UNSURE

DEVICE = METER.estimate(MACS[2])
SENT_MJ = METER.radio_mj(SIZE, SLOW)


def test_target_share_sets_the_thresholds(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    answers = [rig.agent.answer(0, HARD, budget(offload_share=share)) for share in (0.0, 0.5, 1.0)]
    answers.append(rig.agent.answer(0, EASY, budget(offload_share=1.0)))

    assert routes(answers) == [(3, "accepted"), (0, "escalated"), (0, "gated"), (0, "gated")]


def test_share_is_held_over_its_window_when_every_input_prefers_the_cloud(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    controlled, uncontrolled = budget(target_window=50), budget()

    for index in range(200):
        rig.agent.answer(index, UNSURE, controlled)
    sent = rig.cloud.request_count
    for index in range(10):
        rig.agent.answer(index, UNSURE, uncontrolled)

    assert abs(sent / 200 - 0.5) < 0.03
    # Without a window the threshold stays the same, and every input is sent.
    assert rig.cloud.request_count == sent + 10


def test_failed_offload_counts_towards_the_share(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, BadAnswerError("nonsense"))
    kept = budget(target_window=50)

    reasons = [
        reason for _, reason in routes(rig.agent.answer(n, UNSURE, kept) for n in range(400))
    ]

    not_paused = [reason for reason in reasons if reason != "back_off"]
    assert abs(not_paused.count("bad_answer") / len(not_paused) - 0.5) < 0.2


@pytest.mark.parametrize(
    "asked",
    [
        {"energy_per_input_mj": DEVICE.energy_mj + SENT_MJ / 3},
        {"latency_per_input_ms": DEVICE.latency_ms + SENT_MS / 3},
    ],
    ids=["energy", "latency"],
)
def test_mean_cost_meets_its_target_when_every_input_prefers_the_cloud(
    tmp_path: Path, asked: dict[str, float]
) -> None:
    rig = make_rig(tmp_path)
    target = like(SLOW, **asked)

    found = [rig.agent.answer(n, UNSURE, target) for n in range(300)]

    costs = [
        receipt.latency_ms
        if target.latency_per_input_ms
        else sum(entry.energy_mj for entry in receipt.energy)
        for receipt in found
    ]
    (mean,) = asked.values()
    assert np.mean(costs[100:]) == pytest.approx(mean, rel=0.05)


def test_budget_unused_without_a_link_is_not_spent_later(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    target = like(SLOW, energy_per_input_mj=DEVICE.energy_mj + SENT_MJ / 5)

    for index in range(200):
        rig.agent.answer(index, UNSURE, like(target, link_mbit_s=0))
    after = [rig.agent.answer(n, UNSURE, target) for n in range(200)]

    sent = [route == 0 for route, _ in routes(after)]
    assert sum(sent[:50]) == pytest.approx(50 / 5, abs=2)
    assert sum(sent) == pytest.approx(200 / 5, abs=6)


def test_inputs_count_nothing_towards_the_target_while_the_cloud_is_closed(tmp_path: Path) -> None:
    asked = budget(offload_share=0.3, target_window=50)
    at_once, later = make_rig(tmp_path / "a"), make_rig(tmp_path / "b")

    for index in range(40):
        later.agent.answer(index, UNSURE, like(asked, link_mbit_s=0))
    found = [
        routes([rig.agent.answer(index, UNSURE, asked) for index in range(40)])
        for rig in (at_once, later)
    ]

    assert found[0] == found[1]
    assert {capacity for capacity, _ in found[0]} == {0, 3}  # some stay, some go
