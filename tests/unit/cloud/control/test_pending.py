from collections.abc import Mapping

import pytest

from nestling import sparkplug_metrics
from nestling.sparkplug_metrics import MetricValue
from nestling_cloud.control.pending import Briefing, Word

Values = dict[str, MetricValue | None]

NOTHING_WISHED = Word(None, "small-1-abc")
WISHED = Word(0.4, "small-1-abc")
RELEASED = Word(0.4, "small-2-def")
LONG_S = 1000.0


def reported(share: float | None = None, bundle: str | None = None, *, session: int = 0) -> Values:
    """What a birth certificate says of what was written to a device."""
    return {
        sparkplug_metrics.BD_SEQ: session,
        sparkplug_metrics.OFFLOAD_TARGET: share,
        sparkplug_metrics.DESIRED_BUNDLE: bundle,
    }


def born(values: Values | None = None) -> Briefing:
    briefing = Briefing()
    briefing.hear("pi-1", reported() if values is None else values, born=True)
    return briefing


def send(briefing: Briefing, word: Word, *, now_s: float = 0.0) -> Mapping[str, MetricValue | None]:
    """What a device is sent now."""
    due = briefing.due("pi-1", word, now_s=now_s)
    if due:
        briefing.sent("pi-1", due, now_s=now_s)
    return due


def obey(briefing: Briefing, sent: Mapping[str, MetricValue | None]) -> None:
    """Have the device report what it was sent."""
    briefing.hear("pi-1", sent, born=False)


def test_new_device_is_told_what_it_does_not_hold() -> None:
    assert send(born(), WISHED) == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.4,
        sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc",
    }
    assert send(born(), NOTHING_WISHED) == {sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc"}


def test_device_that_holds_everything_is_told_nothing() -> None:
    assert send(born(reported(0.4, "small-1-abc")), WISHED) == {}


def test_only_what_changed_is_told() -> None:
    briefing = born()
    obey(briefing, send(briefing, NOTHING_WISHED))

    told = []
    for word in (WISHED, WISHED, RELEASED, NOTHING_WISHED):
        told.append(send(briefing, word))
        obey(briefing, told[-1])

    assert told == [
        {sparkplug_metrics.OFFLOAD_TARGET: 0.4},
        {},
        {sparkplug_metrics.DESIRED_BUNDLE: "small-2-def"},
        {sparkplug_metrics.OFFLOAD_TARGET: None, sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc"},
    ]


def test_what_the_device_does_not_report_is_sent_again_and_its_birth_asked_for() -> None:
    briefing = born()
    first = send(briefing, WISHED)

    assert send(briefing, WISHED, now_s=4.9) == {}
    assert send(briefing, WISHED, now_s=5.0) == {**first, sparkplug_metrics.REBIRTH: True}


def test_repeats_come_ever_less_often() -> None:
    briefing = born()
    times = [now_s for now_s in range(300) if send(briefing, WISHED, now_s=now_s)]

    assert times == [0, 5, 15, 35, 75, 135, 195, 255]


def test_other_word_goes_out_at_once() -> None:
    briefing = born()
    send(briefing, WISHED)

    assert send(briefing, RELEASED, now_s=0.5) == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.4,
        sparkplug_metrics.DESIRED_BUNDLE: "small-2-def",
    }


def test_birth_of_the_same_session_that_shows_the_loss_makes_no_haste() -> None:
    briefing = born()
    send(briefing, WISHED)

    briefing.hear("pi-1", reported(), born=True)

    assert send(briefing, WISHED, now_s=1.0) == {}


def test_birth_of_a_new_session_is_told_at_once() -> None:
    briefing = born()
    first = send(briefing, WISHED)

    briefing.hear("pi-1", reported(session=1), born=True)

    assert send(briefing, WISHED, now_s=0.5) == first


def test_what_could_not_go_out_is_due_at_once() -> None:
    briefing = born()
    first = send(briefing, WISHED)

    briefing.not_sent("pi-1")

    assert send(briefing, WISHED, now_s=0.5) == first


def test_no_bundle_is_named_before_the_first_release() -> None:
    assert send(born(), Word(0.4, "")) == {sparkplug_metrics.OFFLOAD_TARGET: 0.4}


@pytest.mark.parametrize("values", [{}, {sparkplug_metrics.PROFILE: "pi-5"}])
def test_metrics_that_a_birth_does_not_name_are_never_written(values: Values) -> None:
    briefing = born(values)

    briefing.hear("pi-1", {sparkplug_metrics.OFFLOAD_TARGET: 0.1}, born=False)

    assert send(briefing, WISHED, now_s=LONG_S) == {}


def test_data_of_a_device_without_a_birth_is_passed_over() -> None:
    briefing = Briefing()

    briefing.hear("pi-1", reported(0.4), born=False)

    assert briefing.devices() == []
