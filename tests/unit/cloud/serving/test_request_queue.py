"""The queue of requests is bounded, fair, and free of what comes too late. No clock is read."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.serving.request_queue import MOST_ROWS, RequestQueue, Waiting
from nestling_cloud.serving.run_times import RunTimes

# A run takes 10 ms for each row.
TEN_MS = RunTimes().after_run(1, 0.010)
for _ in range(100):
    TEN_MS = TEN_MS.after_run(1, 0.010)


def queue(*, max_batch: int = 32, runners: int = 1) -> RequestQueue[str]:
    return RequestQueue(max_batch=max_batch, runners=runners)


def waiting(
    item: str, *, rows: int = 1, device: str = "", deadline_s: float = math.inf
) -> Waiting[str]:
    return Waiting(item=item, rows=rows, device=device, deadline_s=deadline_s)


def offer(
    to: RequestQueue[str], entry: Waiting[str], *, now_s: float = 0.0, free_in_s: float = 0.0
) -> str | None:
    refused = to.offer(entry, TEN_MS, now_s=now_s, free_in_s=free_in_s)
    return None if refused is None else refused.item


def taken(from_queue: RequestQueue[str], *, now_s: float = 0.0) -> tuple[list[str], list[str]]:
    found = from_queue.take(TEN_MS, now_s=now_s)
    return [one.item for one in found.batch], [one.item for one in found.late]


def test_all_that_waits_runs_together_up_to_the_largest_batch() -> None:
    waits = queue(max_batch=4)
    for item in "abcdef":
        offer(waits, waiting(item))

    assert taken(waits) == (list("abcd"), [])
    assert taken(waits) == (list("ef"), [])
    assert taken(waits) == ([], [])
    assert waits.rows == 0


def test_runners_share_what_waits() -> None:
    waits = queue(runners=2)
    for item in "abcde":
        offer(waits, waiting(item))

    assert taken(waits) == (list("abc"), [])
    assert taken(waits) == (["d"], [])


def test_request_that_does_not_fit_starts_the_next_batch() -> None:
    waits = queue(max_batch=4)
    for item, rows in (("three", 3), ("four", 4), ("one", 1)):
        offer(waits, waiting(item, rows=rows))

    assert [taken(waits)[0] for _ in range(3)] == [["three"], ["four"], ["one"]]


def test_large_request_runs_even_if_it_exceeds_a_runners_part() -> None:
    waits = queue(runners=4, max_batch=8)
    offer(waits, waiting("eight", rows=8))

    assert taken(waits) == (["eight"], [])


def test_devices_take_turns() -> None:
    waits = queue(max_batch=3)
    for item in ("a1", "a2", "a3", "a4"):
        offer(waits, waiting(item, device="a"))
    offer(waits, waiting("b1", device="b"))
    offer(waits, waiting("c1", device="c"))

    assert taken(waits) == (["a1", "b1", "c1"], [])
    assert taken(waits) == (["a2", "a3", "a4"], [])


@pytest.mark.parametrize(("deadline_s", "refused"), [(0.0401, None), (0.0399, "late")])
def test_request_that_would_be_answered_too_late_is_refused_at_once(
    deadline_s: float, refused: str | None
) -> None:
    waits = queue()
    for item in "ab":
        offer(waits, waiting(item))

    # 10 ms until the runner is free, 20 ms for the two ahead, 10 ms for itself.
    found = offer(waits, waiting("late", deadline_s=deadline_s), free_in_s=0.010)

    assert found == refused
    assert waits.rows == (2 if refused else 3)


def test_idle_runner_tries_even_what_is_expected_to_be_late() -> None:
    waits = queue()

    assert offer(waits, waiting("slow", deadline_s=0.001)) is None
    assert taken(waits) == (["slow"], [])
    assert offer(waits, waiting("expired", deadline_s=0.0)) == "expired"


def test_last_request_that_waits_is_tried_and_others_are_dropped() -> None:
    waits = queue()
    for item in ("first", "last"):
        offer(waits, waiting(item, deadline_s=0.1))

    assert taken(waits, now_s=0.095) == (["last"], ["first"])


def test_device_does_not_wait_for_another_ones_long_queue() -> None:
    waits = queue()
    for number in range(50):
        offer(waits, waiting(f"greedy {number}", device="greedy"))

    assert offer(waits, waiting("modest", device="modest", deadline_s=0.025)) is None
    assert offer(waits, waiting("more", device="greedy", deadline_s=0.025)) == "more"
    assert taken(waits)[0][1] == "modest"


def test_more_runners_answer_sooner() -> None:
    one, two = queue(runners=1), queue(runners=2)
    for waits in (one, two):
        for item in "abcd":
            offer(waits, waiting(item))

    late = waiting("late", deadline_s=0.035)
    assert (offer(one, late), offer(two, late)) == ("late", None)


def test_request_whose_deadline_has_come_too_near_is_dropped_before_it_runs() -> None:
    waits = queue()
    offer(waits, waiting("stale", deadline_s=0.050))
    offer(waits, waiting("patient"))

    assert taken(waits, now_s=0.041) == (["patient"], ["stale"])


def test_batch_is_no_larger_than_its_most_urgent_request_allows() -> None:
    waits = queue()
    offer(waits, waiting("urgent", deadline_s=0.035))
    for item in "abcdef":
        offer(waits, waiting(item))

    assert taken(waits) == (["urgent", "a", "b"], [])


def test_full_queue_refuses_the_newest_of_the_greediest_device() -> None:
    waits = queue()
    offer(waits, waiting("modest", device="modest"))
    for number in range(MOST_ROWS - 1):
        assert offer(waits, waiting(f"{number}", device="greedy")) is None

    assert offer(waits, waiting("fits", device="modest")) == f"{MOST_ROWS - 2}"
    assert offer(waits, waiting("one more", device="greedy")) == "one more"
    assert waits.rows == MOST_ROWS


def test_request_of_a_caller_that_has_gone_is_removed_once() -> None:
    waits = queue()
    gone = waiting("gone", device="a")
    offer(waits, gone)
    offer(waits, waiting("here", device="b"))

    waits.remove(gone)
    waits.remove(gone)

    assert waits.rows == 1
    assert taken(waits) == (["here"], [])


def test_retry_is_worth_it_when_the_queue_is_done() -> None:
    waits = queue(runners=2)
    assert waits.retry_s(TEN_MS) == 0.05
    for number in range(100):
        offer(waits, waiting(f"{number}"))

    assert waits.retry_s(TEN_MS) == pytest.approx(0.5)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.floats(0, 0.3), st.booleans()),
        max_size=60,
    ),
    st.integers(1, 3),
)
def test_every_request_is_refused_or_taken_exactly_once(
    steps: list[tuple[str, int, float, bool]], runners: int
) -> None:
    waits, now_s = queue(max_batch=4, runners=runners), 0.0
    ended: list[str] = []
    for number, (device, rows, patience_s, takes) in enumerate(steps):
        now_s += 0.01
        entry = waiting(f"{number}", rows=rows, device=device, deadline_s=now_s + patience_s)
        if (refused := offer(waits, entry, now_s=now_s)) is not None:
            ended.append(refused)
        if takes:
            for part in taken(waits, now_s=now_s):
                ended += part
    while waits.rows:
        for part in taken(waits, now_s=now_s):
            ended += part

    assert sorted(ended) == sorted(str(number) for number in range(len(steps)))
