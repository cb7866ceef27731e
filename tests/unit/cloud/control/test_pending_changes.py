from collections.abc import Mapping

import pytest

from nestling import sparkplug_metrics
from nestling.sparkplug_metrics import MetricValue
from nestling_cloud.control.pending_changes import DesiredMetrics, PendingChanges

Values = dict[str, MetricValue | None]

NO_TARGET = DesiredMetrics(None, "small-1-abc")
TARGET = DesiredMetrics(0.4, "small-1-abc")
RELEASED = DesiredMetrics(0.4, "small-2-def")
LONG_S = 1000.0


def reported(share: float | None = None, bundle: str | None = None, *, session: int = 0) -> Values:
    """Make the metrics of a birth certificate that reports these settings."""
    return {
        sparkplug_metrics.BD_SEQ: session,
        sparkplug_metrics.OFFLOAD_TARGET: share,
        sparkplug_metrics.DESIRED_BUNDLE: bundle,
    }


def born(values: Values | None = None) -> PendingChanges:
    pending = PendingChanges()
    pending.record_report("pi-1", reported() if values is None else values, born=True)
    return pending


def send(
    pending: PendingChanges, desired: DesiredMetrics, *, now_s: float = 0.0
) -> Mapping[str, MetricValue | None]:
    """Return the command that is due now, and record it as sent."""
    due = pending.due("pi-1", desired, now_s=now_s)
    if due:
        pending.sent("pi-1", due, now_s=now_s)
    return due


def report_back(pending: PendingChanges, sent: Mapping[str, MetricValue | None]) -> None:
    """Record that the device reports the settings that it received."""
    pending.record_report("pi-1", sent, born=False)


def test_new_device_receives_the_settings_that_it_lacks() -> None:
    assert send(born(), TARGET) == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.4,
        sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc",
    }
    assert send(born(), NO_TARGET) == {sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc"}


def test_device_with_the_desired_settings_receives_nothing() -> None:
    assert send(born(reported(0.4, "small-1-abc")), TARGET) == {}


def test_only_changed_settings_are_sent() -> None:
    pending = born()
    report_back(pending, send(pending, NO_TARGET))

    commands = []
    for desired in (TARGET, TARGET, RELEASED, NO_TARGET):
        commands.append(send(pending, desired))
        report_back(pending, commands[-1])

    assert commands == [
        {sparkplug_metrics.OFFLOAD_TARGET: 0.4},
        {},
        {sparkplug_metrics.DESIRED_BUNDLE: "small-2-def"},
        {sparkplug_metrics.OFFLOAD_TARGET: None, sparkplug_metrics.DESIRED_BUNDLE: "small-1-abc"},
    ]


def test_unreported_setting_is_sent_again_with_a_request_for_rebirth() -> None:
    pending = born()
    first = send(pending, TARGET)

    assert send(pending, TARGET, now_s=4.9) == {}
    assert send(pending, TARGET, now_s=5.0) == {**first, sparkplug_metrics.REBIRTH: True}


def test_repeats_are_sent_at_growing_intervals() -> None:
    pending = born()
    times = [now_s for now_s in range(300) if send(pending, TARGET, now_s=now_s)]

    assert times == [0, 5, 15, 35, 75, 135, 195, 255]


def test_changed_setting_is_sent_at_once() -> None:
    pending = born()
    send(pending, TARGET)

    assert send(pending, RELEASED, now_s=0.5) == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.4,
        sparkplug_metrics.DESIRED_BUNDLE: "small-2-def",
    }


def test_birth_of_the_same_session_does_not_shorten_the_wait() -> None:
    pending = born()
    send(pending, TARGET)

    pending.record_report("pi-1", reported(), born=True)

    assert send(pending, TARGET, now_s=1.0) == {}


def test_birth_of_a_new_session_receives_the_settings_at_once() -> None:
    pending = born()
    first = send(pending, TARGET)

    pending.record_report("pi-1", reported(session=1), born=True)

    assert send(pending, TARGET, now_s=0.5) == first


def test_command_that_could_not_be_sent_is_due_at_once() -> None:
    pending = born()
    first = send(pending, TARGET)

    pending.not_sent("pi-1")

    assert send(pending, TARGET, now_s=0.5) == first


def test_no_bundle_is_sent_before_the_first_release() -> None:
    assert send(born(), DesiredMetrics(0.4, "")) == {sparkplug_metrics.OFFLOAD_TARGET: 0.4}


@pytest.mark.parametrize("values", [{}, {sparkplug_metrics.PROFILE: "pi-5"}])
def test_metrics_missing_from_the_birth_are_never_written(values: Values) -> None:
    pending = born(values)

    pending.record_report("pi-1", {sparkplug_metrics.OFFLOAD_TARGET: 0.1}, born=False)

    assert send(pending, TARGET, now_s=LONG_S) == {}


def test_data_of_a_device_without_a_birth_is_ignored() -> None:
    pending = PendingChanges()

    pending.record_report("pi-1", reported(0.4), born=False)

    assert pending.devices() == []
