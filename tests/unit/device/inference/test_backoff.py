import random
import time
from pathlib import Path

import pytest

from nestling_device.inference.backoff import Backoff
from nestling_device.inference.offloader import OverloadedError, UnreachableError
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


def test_backoff_lasts_between_half_and_all_of_its_length() -> None:
    pause = Backoff(failures=3)

    assert [pause.after_failure(draw).left for draw in (0.0, 0.3, 1.0)] == [4, 6, 8]
    assert Backoff().after_failure(0.0).left == 1


def test_backoff_without_failures_stays_over() -> None:
    assert Backoff().after_input() == Backoff()


def test_devices_that_fail_together_return_at_different_times(tmp_path: Path) -> None:
    def waits_of(device: str) -> list[str]:
        rig = make_rig(
            tmp_path / device, UnreachableError("gone"), draw=random.Random(device).random
        )
        return [
            reason for _, reason in routes(rig.agent.answer(n, HARD, BUDGET) for n in range(80))
        ]

    first, again, other = (waits_of(device) for device in ("pi-1", "pi-1", "pi-2"))

    assert first == again
    assert first != other


def test_overloaded_cloud_is_left_alone_for_as_long_as_it_asked(tmp_path: Path) -> None:
    busy = OverloadedError("busy", retry_ms=50)
    rig = make_rig(tmp_path, busy, None, draw=lambda: 0.5)

    started = time.monotonic()
    reasons: list[str] = []
    while not reasons or reasons[-1] != "escalated":
        ((_, reason),) = routes([rig.agent.answer(len(reasons), HARD, BUDGET)])
        reasons.append(reason)

    assert reasons[0] == "overloaded"
    assert set(reasons[1:-1]) == {"back_off"}
    # 50 ms and half of it, by a clock that counts whole milliseconds.
    assert time.monotonic() - started > 0.07


def test_overload_of_an_hour_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100 * 60_000, 30_000))
    monkeypatch.setattr("nestling_device.inference.agent.unix_ms", lambda: next(clock))
    rig = make_rig(tmp_path, OverloadedError("busy", retry_ms=3_600_000), None)

    reasons = [reason for _, reason in routes(rig.agent.answer(n, HARD, BUDGET) for n in range(6))]

    assert reasons == ["overloaded", *["back_off"] * 3, "escalated", "escalated"]


def test_pause_after_failed_offloads_doubles_and_resets_on_success(tmp_path: Path) -> None:
    gone = UnreachableError("gone")
    rig = make_rig(tmp_path, gone, gone, None, gone, None)

    reasons = [reason for _, reason in routes(rig.agent.answer(n, HARD, BUDGET) for n in range(9))]

    waits = ["back_off"]
    before = ["unreachable", *waits, "unreachable", *2 * waits, "escalated"]
    assert reasons == [*before, "unreachable", *waits, "escalated"]
