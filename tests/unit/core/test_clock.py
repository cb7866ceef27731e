import time

from nestling_core.clock import unix_ms


def test_time_is_unix_time_in_milliseconds() -> None:
    before, now, after = time.time_ns(), unix_ms(), time.time_ns()

    assert before // 1_000_000 <= now <= after // 1_000_000
