from pathlib import Path

from nestling_device.inference.backoff import Backoff
from nestling_device.inference.offloader import UnreachableError
from tests.support.agent_rig import BUDGET, make_rig, routes
from tests.support.hand_bundle import HARD


def test_backoff_doubles_with_every_failure_up_to_16_inputs() -> None:
    pause, lengths = Backoff(), []
    for _ in range(7):
        assert pause.over
        pause = pause.after_failure()
        lengths.append(pause.left)
        while not pause.over:
            pause = pause.after_input()

    assert lengths == [1, 2, 4, 8, 16, 16, 16]


def test_backoff_without_failures_stays_over() -> None:
    assert Backoff().after_input() == Backoff()


def test_pause_after_failed_offloads_doubles_and_resets_on_success(tmp_path: Path) -> None:
    gone = UnreachableError("gone")
    rig = make_rig(tmp_path, gone, gone, None, gone, None)

    reasons = [reason for _, reason in routes(rig.agent.answer(n, HARD, BUDGET) for n in range(9))]

    waits = ["back_off"]
    before = ["unreachable", *waits, "unreachable", *2 * waits, "escalated"]
    assert reasons == [*before, "unreachable", *waits, "escalated"]
