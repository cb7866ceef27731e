from collections.abc import Mapping

import pytest

from nestling import sparkplug_metrics
from nestling.sparkplug_metrics import MetricValue
from nestling_cloud.control.pending import DesiredMetrics, PendingChanges

Values = dict[str, MetricValue | None]

NO_TARGET = DesiredMetrics(None, "small-1-abc")
TARGET = DesiredMetrics(0.4, "small-1-abc")
RELEASED = DesiredMetrics(0.4, "small-2-def")
LONG_S = 1000.0


def reported(share: float | None = None, bundle: str | None = None, *, session: int = 0) -> Values:
    """What a birth certificate says of what was written to a device."""
    return {
        sparkplug_metrics.BD_SEQ: session,
        sparkplug_metrics.OFFLOAD_TARGET: share,
        sparkplug_metrics.DESIRED_BUNDLE: bundle,
    }


def born(values: Values | None = None) -> PendingChanges:
    pending = PendingChanges()
    pending.hear("pi-1", reported() if values is None else values, born=True)
    return pending


def send(
    pending: PendingChanges, word: DesiredMetrics, *, now_s: float = 0.0
) -> Mapping[str, MetricValue | None]:
    """What a device is sent now."""
    due = pending.due("pi-1", word, now_s=now_s)
    if due:
        pending.sent("pi-1", due, now_s=now_s)
    return due


def obey(pending: PendingChanges, sent: Mapping[str, MetricValue | None]) -> None:
    """Have the device report what it was sent."""
    pending.hear("pi-1", sent, born=False)


def test_new_device_is_told_what_it_does_not_hold() -> None:
    assert send(born(), TARGET) == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.4,
        sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc",
    }
    assert send(born(), NO_TARGET) == {sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc"}


def test_device_that_holds_everything_is_told_nothing() -> None:
    assert send(born(reported(0.4, "small-1-abc")), TARGET) == {}


def test_only_what_changed_is_told() -> None:
    pending = born()
    obey(pending, send(pending, NO_TARGET))

    told = []
    for word in (TARGET, TARGET, RELEASED, NO_TARGET):
        told.append(send(pending, word))
        obey(pending, told[-1])

    assert told == [
        {sparkplug_metrics.OFFLOAD_TARGET: 0.4},
        {},
        {sparkplug_metrics.DESIRED_BUNDLE: "small-2-def"},
        {sparkplug_metrics.OFFLOAD_TARGET: None, sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc"},
    ]


def test_what_the_device_does_not_report_is_sent_again_and_its_birth_asked_for() -> None:
    pending = born()
    first = send(pending, TARGET)

    assert send(pending, TARGET, now_s=4.9) == {}
    assert send(pending, TARGET, now_s=5.0) == {**first, sparkplug_metrics.REBIRTH: True}


def test_repeats_come_ever_less_often() -> None:
    pending = born()
    times = [now_s for now_s in range(300) if send(pending, TARGET, now_s=now_s)]

    assert times == [0, 5, 15, 35, 75, 135, 195, 255]


def test_other_word_goes_out_at_once() -> None:
    pending = born()
    send(pending, TARGET)

    assert send(pending, RELEASED, now_s=0.5) == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.4,
        sparkplug_metrics.DESIRED_BUNDLE: "small-2-def",
    }


def test_birth_of_the_same_session_that_shows_the_loss_makes_no_haste() -> None:
    pending = born()
    send(pending, TARGET)

    pending.hear("pi-1", reported(), born=True)

    assert send(pending, TARGET, now_s=1.0) == {}


def test_birth_of_a_new_session_is_told_at_once() -> None:
    pending = born()
    first = send(pending, TARGET)

    pending.hear("pi-1", reported(session=1), born=True)

    assert send(pending, TARGET, now_s=0.5) == first


def test_what_could_not_go_out_is_due_at_once() -> None:
    pending = born()
    first = send(pending, TARGET)

    pending.not_sent("pi-1")

    assert send(pending, TARGET, now_s=0.5) == first


def test_no_bundle_is_named_before_the_first_release() -> None:
    assert send(born(), DesiredMetrics(0.4, "")) == {sparkplug_metrics.OFFLOAD_TARGET: 0.4}


@pytest.mark.parametrize("values", [{}, {sparkplug_metrics.PROFILE: "pi-5"}])
def test_metrics_that_a_birth_does_not_name_are_never_written(values: Values) -> None:
    pending = born(values)

    pending.hear("pi-1", {sparkplug_metrics.OFFLOAD_TARGET: 0.1}, born=False)

    assert send(pending, TARGET, now_s=LONG_S) == {}


def test_data_of_a_device_without_a_birth_is_passed_over() -> None:
    pending = PendingChanges()

    pending.hear("pi-1", reported(0.4), born=False)

    assert pending.devices() == []
