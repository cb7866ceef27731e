"""Device registry and targets on every database."""

import math

import pytest

from nestling import sparkplug_metrics
from nestling_cloud.control.targets import TargetError, Targets
from nestling_cloud.metrics.fleet_health import (
    LONG_OUTBOX,
    Losses,
    device_losses,
    fleet_condition,
)
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.metrics.views import DeviceRow
from nestling_cloud.store import device_registry
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import Store
from tests.support.receipts import make_batch


def only_row(store: Store) -> DeviceRow:
    (row,), _ = MetricQueries(store).devices()
    return row


def test_device_row_has_the_latest_reported_values(store: Store) -> None:
    born: dict[str, sparkplug_metrics.MetricValue] = {
        sparkplug_metrics.PROFILE: "pi-5",
        sparkplug_metrics.BUNDLE_VERSION: "tiny-1",
        sparkplug_metrics.CAPACITY: 2,
        sparkplug_metrics.BATTERY: 0.75,
        sparkplug_metrics.OUTBOX_DEPTH: 9,
        sparkplug_metrics.OFFLOAD_SHARE: 0.2,
        sparkplug_metrics.DRIFTING: True,
        sparkplug_metrics.PENDING: 4,
        sparkplug_metrics.TOLERATED_RISK: 0.05,
        sparkplug_metrics.GUARANTEED_SINCE: 1_700_000_000_000,
        sparkplug_metrics.INPUTS_TO_GO: 300,
        sparkplug_metrics.GUARANTEE_ALARMS: 2,
    }
    store.add_all([], [device_registry.report("pi-1", born, seen_ms=1000, online=True)])
    store.add_all(
        [], [device_registry.report("pi-1", {sparkplug_metrics.CAPACITY: 3}, seen_ms=2000)]
    )

    assert only_row(store) == DeviceRow(
        device="pi-1",
        profile="pi-5",
        online=True,
        last_seen_ms=2000,
        bundle_version="tiny-1",
        capacity=3,
        battery=0.75,
        outbox_depth=9,
        offload_share=0.2,
        target_share=None,
        drifting=True,
        pending=4,
        tolerated_risk=0.05,
        guaranteed_since_ms=1_700_000_000_000,
        inputs_to_go=300,
        guarantee_alarms=2,
        answers=0,
    )


def test_device_may_withdraw_values(store: Store) -> None:
    values: dict[str, sparkplug_metrics.MetricValue] = {
        sparkplug_metrics.OFFLOAD_SHARE: 0.2,
        sparkplug_metrics.DRIFTING: True,
        sparkplug_metrics.TOLERATED_RISK: 0.05,
        sparkplug_metrics.GUARANTEED_SINCE: 1_700_000_000_000,
        sparkplug_metrics.INPUTS_TO_GO: 300,
        sparkplug_metrics.GUARANTEE_ALARMS: 2,
    }
    nulls: dict[str, sparkplug_metrics.MetricValue | None] = dict.fromkeys(values)
    store.add_all([], [device_registry.report("pi-1", values, seen_ms=1)])
    store.add_all([], [device_registry.report("pi-1", {sparkplug_metrics.CAPACITY: 2}, seen_ms=2)])
    before = only_row(store)

    store.add_all([], [device_registry.report("pi-1", nulls, seen_ms=3)])
    withdrawn = only_row(store)
    both = [device_registry.report("pi-1", metrics, seen_ms=4) for metrics in (nulls, values)]
    store.add_all([], both)
    reported_again = only_row(store)
    store.add_all([], both[::-1])

    rows = (before, withdrawn, reported_again, only_row(store))
    assert [row.offload_share for row in rows] == [0.2, None, 0.2, None]
    assert [row.drifting for row in rows] == [True, None, True, None]
    assert [row.tolerated_risk for row in rows] == [0.05, None, 0.05, None]
    since_ms = 1_700_000_000_000
    assert [row.guaranteed_since_ms for row in rows] == [since_ms, None, since_ms, None]
    assert [row.inputs_to_go for row in rows] == [300, None, 300, None]
    assert [row.guarantee_alarms for row in rows] == [2, None, 2, None]


def test_reports_of_one_commit_are_merged_in_order(store: Store) -> None:
    reports = [
        device_registry.Report(device="pi-1", seen_ms=1, online=True, profile="a", answers=2),
        device_registry.Report(device="pi-1", seen_ms=2, profile="b", answers=3, answered_ms=5),
        device_registry.Report(device="pi-1", seen_ms=3, online=False),
    ]
    store.add_all([], reports)
    store.add_all([], [device_registry.Report(device="pi-1", seen_ms=2, answers=1)])

    row = only_row(store)
    assert (row.online, row.profile, row.last_seen_ms, row.answers) == (False, "b", 3, 6)


def test_no_device_is_online_after_end_all(store: Store) -> None:
    store.add_all(
        [], [device_registry.Report(device=f"pi-{n}", seen_ms=1, online=n != 2) for n in (3, 1, 2)]
    )

    with store.writing() as connection:
        assert device_registry.end_all(connection) == ["pi-1", "pi-3"]
    with store.writing() as connection:
        assert device_registry.end_all(connection) == []

    rows, _ = MetricQueries(store).devices()
    assert [row.online for row in rows] == [False] * 3


def test_invalid_metrics_are_ignored(store: Store) -> None:
    invalid: dict[str, sparkplug_metrics.MetricValue] = {
        sparkplug_metrics.PROFILE: "nul\0",
        sparkplug_metrics.BUNDLE_VERSION: "x" * 201,
        sparkplug_metrics.CAPACITY: 2**64 - 1,
        sparkplug_metrics.BATTERY: math.nan,
        sparkplug_metrics.OUTBOX_DEPTH: True,
        sparkplug_metrics.OFFLOAD_SHARE: -0.5,
        sparkplug_metrics.DRIFTING: 1,
        sparkplug_metrics.PENDING: -1,
        sparkplug_metrics.TOLERATED_RISK: 1.5,
        sparkplug_metrics.GUARANTEED_SINCE: 4_102_444_800_001,  # in 2100
        sparkplug_metrics.INPUTS_TO_GO: 2**64 - 1,
        sparkplug_metrics.GUARANTEE_ALARMS: -1,
    }
    store.add_all([], [device_registry.report("pi-1", invalid, seen_ms=1)])

    row = only_row(store)
    assert (row.profile, row.bundle_version, row.capacity) == ("", "", 0)
    assert (row.battery, row.outbox_depth, row.offload_share) == (0.0, 0, None)
    assert (row.drifting, row.pending, row.tolerated_risk) == (None, 0, None)
    assert (row.guaranteed_since_ms, row.inputs_to_go, row.guarantee_alarms) == (None,) * 3


def test_device_target_takes_precedence_over_the_fleet_target(store: Store) -> None:
    targets = Targets(store)
    assert targets.for_device("pi-1") is None

    targets.set(None, 0.3, set_by="ada")
    targets.set("pi-1", 0.0, set_by="ada")

    assert (targets.for_device("pi-1"), targets.for_device("pi-2")) == (0.0, 0.3)
    assert targets.for_device(None) == 0.3
    assert targets.for_devices(["pi-2", "pi-1"]) == {"pi-2": 0.3, "pi-1": 0.0}

    targets.set("pi-1", None, set_by="bob")
    targets.set(None, 0.4, set_by="bob")

    assert targets.for_device("pi-1") == 0.4


def test_device_table_shows_targets(store: Store) -> None:
    store.add_all([], [device_registry.Report(device=f"pi-{n}", seen_ms=1) for n in (1, 2)])
    figures, targets = MetricQueries(store), Targets(store)

    def target() -> list[float | None]:
        return [row.target_share for row in figures.devices()[0]]

    assert target() == [None, None]
    targets.set("pi-1", 0.0, set_by="ada")
    assert target() == [0.0, None]
    targets.set(None, 0.5, set_by="ada")
    assert target() == [0.0, 0.5]


def test_every_change_of_a_target_is_logged(store: Store) -> None:
    targets = Targets(store)
    made = [
        targets.set(None, 0.3, set_by="ada"),
        targets.set("pi-1", 0.5, set_by="bob"),
        targets.set("pi-1", None, set_by="ada"),
    ]

    assert targets.log() == made[::-1]
    assert targets.log(limit=1) == made[2:]
    assert made[0].set_at_ms <= made[2].set_at_ms


def test_target_log_can_be_limited_to_some_devices(store: Store) -> None:
    targets = Targets(store)
    of_fleet = targets.set(None, 0.3, set_by="ada")
    of_one = targets.set("pi-1", 0.5, set_by="bob")
    targets.set("pi-2", 0.7, set_by="bob")

    assert targets.log(devices={"pi-1", None}) == [of_one, of_fleet]
    assert targets.log(devices={None}) == [of_fleet]
    assert targets.log(devices={"pi-3"}) == []


@pytest.mark.parametrize(
    ("device", "share", "who"),
    [
        ("pi/1", 0.5, "ada"),
        ("", 0.5, "ada"),
        ("pi-1", 1.01, "ada"),
        (None, -0.01, "ada"),
        (None, math.nan, "ada"),
        (None, 0.5, ""),
        (None, 0.5, "nul\0"),
        (None, 0.5, "x" * 201),
    ],
)
def test_invalid_target_is_rejected(
    store: Store, device: str | None, share: float, who: str
) -> None:
    targets = Targets(store)

    with pytest.raises(TargetError):
        targets.set(device, share, set_by=who)

    assert targets.log() == []
    assert targets.for_device(None) is None


def test_fleet_condition_counts_connected_devices_and_problems(store: Store) -> None:
    metrics: dict[str, sparkplug_metrics.MetricValue] = {
        sparkplug_metrics.BUNDLE_VERSION: "tiny-1",
        sparkplug_metrics.OUTBOX_DEPTH: LONG_OUTBOX + 1,
    }
    away: dict[str, sparkplug_metrics.MetricValue] = {
        **metrics,
        sparkplug_metrics.BUNDLE_VERSION: "tiny-0",
    }
    store.add_all(
        [Delivery(device="pi-2", batch=make_batch(3, gaps=((1, 2),)))],
        [
            device_registry.Report(device="pi-1", seen_ms=1000, answers=3, answered_ms=1000),
            device_registry.report("pi-1", metrics, seen_ms=1000, online=True),
            device_registry.report("pi-2", away, seen_ms=3000, online=False),
            device_registry.report("pi-3", {}, seen_ms=2000),
        ],
    )

    found = fleet_condition(store)

    assert (found.known, found.connected) == (3, 1)
    assert found.bundles == {"tiny-1": 1}
    assert found.long_outboxes == 1
    assert found.clocks_unset == 1
    assert found.losses == device_losses(store, "pi-2") == Losses(dropped=2)
    assert device_losses(store, "pi-1") == Losses()


def test_fleet_without_devices_has_an_empty_condition(store: Store) -> None:
    found = fleet_condition(store)

    assert (found.known, found.connected, found.last_seen_ms, found.bundles) == (0, 0, None, {})
    assert found.last_answered_ms is None
