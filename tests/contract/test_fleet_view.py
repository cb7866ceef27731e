"""The fleet by bundle and by capacity, on every database."""

from typing import Any

from nestling_cloud.metrics.fleet_guarantees import FleetGuarantees
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store import device_registry
from nestling_cloud.store.store import Store
from nestling_cloud.store.time_range import TimeRange

MINUTE_MS = 60_000


def test_fleet_view_counts_devices_by_bundle(store: Store) -> None:
    store.add_all(
        [],
        [
            device_registry.Report(device="pi-1", seen_ms=1, online=True, bundle_version="a"),
            device_registry.Report(device="pi-2", seen_ms=1, online=False, bundle_version="b"),
            device_registry.Report(device="pi-3", seen_ms=1, online=True, bundle_version="b"),
            device_registry.Report(device="pi-4", seen_ms=1),
        ],
    )

    view = MetricQueries(store).fleet(TimeRange(since_ms=0, until_ms=1))

    assert (view.known, view.online) == (4, 2)
    assert view.bundles == {"": 1, "a": 1, "b": 2}


def test_fleet_view_has_the_guarantees_of_devices_with_a_tolerated_risk(store: Store) -> None:
    reported: tuple[dict[str, Any], ...] = (
        {"tolerated_risk": 0.05, "guaranteed_since_ms": 5, "guarantee_alarms": 3},
        {"tolerated_risk": 0.02, "guaranteed_since_ms": 7, "inputs_to_go": 1000},
        {"tolerated_risk": 0.0, "inputs_to_go": 9, "guarantee_alarms": 1},
        {"tolerated_risk": 0.05, "inputs_to_go": 40, "guarantee_alarms": 0},
        {"tolerated_risk": 0.05},
        {"guaranteed_since_ms": 8, "inputs_to_go": 2000, "guarantee_alarms": 1},
        {},
    )
    store.add_all(
        [],
        [
            device_registry.Report(device=f"pi-{number}", seen_ms=1, **fields)
            for number, fields in enumerate(reported)
        ],
    )

    view = MetricQueries(store).fleet(TimeRange(since_ms=0, until_ms=1))

    assert view.guarantees == FleetGuarantees(
        tolerating=5, guaranteed=2, alarmed=2, guaranteed_since_ms=7, inputs_to_go=40
    )


def test_fleet_without_a_tolerated_risk_has_no_guarantees(store: Store) -> None:
    view = MetricQueries(store).fleet(TimeRange(since_ms=0, until_ms=1))

    assert view.guarantees == FleetGuarantees()


def test_fleet_view_counts_answering_devices_by_resident_capacity(
    store: Store, now_ms: int
) -> None:
    store.add_all(
        [],
        [
            device_registry.Report(
                device="pi-1", seen_ms=1, capacity=2, answers=1, answered_ms=now_ms
            ),
            device_registry.Report(
                device="pi-2", seen_ms=1, capacity=4, answers=1, answered_ms=now_ms
            ),
            device_registry.Report(
                device="pi-3", seen_ms=1, capacity=2, answers=1, answered_ms=now_ms
            ),
            device_registry.Report(
                device="pi-4", seen_ms=1, capacity=0, answers=1, answered_ms=now_ms
            ),
            device_registry.Report(device="idle", seen_ms=1, capacity=2, answers=1, answered_ms=1),
            device_registry.Report(device="new", seen_ms=1, capacity=2),
        ],
    )
    lately = TimeRange(since_ms=now_ms - MINUTE_MS, until_ms=now_ms + 1)

    assert MetricQueries(store).fleet(lately).residents == {2: 2, 4: 1}
