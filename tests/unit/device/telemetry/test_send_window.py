import math

from hypothesis import given
from hypothesis import strategies as st

from nestling_device.telemetry.send_window import SendWindow


def window(*, last: int = 0) -> SendWindow:
    return SendWindow(
        acknowledged=0, last=last, batch_limit=10, batches=2, resend_after_s=5, longest_wait_s=15
    )


def test_first_receipt_is_sent_at_once() -> None:
    assert window().due(1, now_s=0) == 0


def test_part_of_a_batch_waits_while_another_is_in_flight() -> None:
    sending = window()
    sending.sent(1, now_s=0)

    assert sending.due(5, now_s=1) is None


def test_full_batches_are_sent_until_the_window_is_full() -> None:
    sending = window()
    sending.sent(10, now_s=0)
    assert sending.due(50, now_s=0) == 10

    sending.sent(20, now_s=0)
    assert sending.due(50, now_s=0) is None


def test_acknowledgement_releases_the_waiting_receipts() -> None:
    sending = window()
    sending.sent(1, now_s=0)
    sending.acknowledged(1, now_s=1)

    assert sending.due(5, now_s=1) == 1


def test_everything_unacknowledged_is_resent_without_progress() -> None:
    sending = window()
    sending.sent(10, now_s=0)
    sending.sent(20, now_s=0)
    sending.acknowledged(4, now_s=3)

    assert sending.due(20, now_s=7.9) is None
    assert sending.due(20, now_s=8) == 4


def test_resend_time_doubles_up_to_its_limit_and_resets_with_progress() -> None:
    sending, waits, now_s = window(), [], 0.0
    for _ in range(4):
        sending.sent(1, now_s=now_s)
        waits.append(sending.resend_in_s(now_s=now_s))
        now_s += waits[-1]
        assert sending.due(1, now_s=now_s) == 0
    sending.acknowledged(1, now_s=now_s)
    sending.sent(2, now_s=now_s)

    assert waits == [5, 10, 15, 15]
    assert sending.resend_in_s(now_s=now_s) == 5


def test_resend_time_is_infinite_with_nothing_in_flight() -> None:
    assert math.isinf(window().resend_in_s(now_s=0))


def test_new_connection_sends_what_was_in_flight_as_historical() -> None:
    sending = window()
    sending.sent(10, now_s=0)
    sending.restart()

    assert sending.due(12, now_s=0) == 0
    assert [sending.is_historical(sequence) for sequence in (10, 11)] == [True, False]


def test_receipts_from_before_the_start_are_historical() -> None:
    assert [window(last=3).is_historical(sequence) for sequence in (3, 4)] == [True, False]


def test_acknowledgement_from_an_earlier_connection_skips_its_receipts() -> None:
    sending = window()
    sending.sent(10, now_s=0)
    sending.restart()
    sending.acknowledged(10, now_s=1)

    assert sending.due(12, now_s=1) == 10


@given(data=st.data())
def test_every_receipt_arrives_over_a_lossy_connection(data: st.DataObject) -> None:
    sending, last, stored, now_s = window(), 37, 0, 0.0
    for _ in range(60):
        after = sending.due(last, now_s=now_s)
        if after is None:
            now_s += 1
            continue
        end = min(after + 10, last)
        arrives = data.draw(st.booleans())
        if arrives and after <= stored:
            stored = max(stored, end)
        sending.sent(end, now_s=now_s)
        if arrives and data.draw(st.booleans()):
            sending.acknowledged(stored, now_s=now_s)
    for _ in range(60):  # nothing is lost from here on
        after = sending.due(last, now_s=now_s)
        if after is None:
            now_s += 16
            continue
        if after <= stored:
            stored = max(stored, min(after + 10, last))
        sending.sent(min(after + 10, last), now_s=now_s)
        sending.acknowledged(stored, now_s=now_s)

    assert last == stored
    assert sending.due(last, now_s=now_s + 100) is None
