"""The table of devices, on every database."""

import pytest

from nestling_cloud.control.targets import Targets
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store import device_registry
from nestling_cloud.store.store import Store


def test_device_table_can_be_searched_ordered_and_paged(store: Store) -> None:
    reports = [
        device_registry.Report(
            device=f"pi-{number}",
            seen_ms=number,
            online=number % 2 == 0,
            profile="pi-5" if number > 3 else "pi-4b",
            bundle_version=f"100%-{number}",
            capacity=number % 3,
            battery=1 / number,
        )
        for number in range(1, 7)
    ]
    store.add_all([], reports)
    figures = MetricQueries(store)

    def ids(**wanted: object) -> tuple[list[str], int]:
        rows, total = figures.devices(**wanted)  # type: ignore[arg-type]
        return [row.device for row in rows], total

    assert ids() == ([f"pi-{number}" for number in range(1, 7)], 6)
    assert ids(search="PI-5") == (["pi-4", "pi-5", "pi-6"], 3)
    assert ids(search="0%-2") == (["pi-2"], 1)
    assert ids(search="_") == ([], 0)
    assert ids(order_by="battery", limit=2) == (["pi-6", "pi-5"], 6)
    assert ids(order_by="capacity", descending=True, offset=2, limit=2) == (["pi-1", "pi-4"], 6)
    assert ids(offset=6) == ([], 6)
    with pytest.raises(ValueError, match="'secret' is not one of device"):
        figures.devices(order_by="secret")


@pytest.mark.parametrize(
    "column",
    ["online", "last_seen_ms", "outbox_depth", "offload_share", "target_share", "answers"],
)
def test_device_table_has_devices_without_a_value_last(store: Store, column: str) -> None:
    store.add_all(
        [],
        [
            device_registry.Report(device="pi-1", seen_ms=1),
            device_registry.Report(device="pi-2", seen_ms=2, online=True, offload_share=0.5),
            device_registry.Report(
                device="pi-3", seen_ms=3, online=True, outbox_depth=7, answers=1
            ),
        ],
    )
    Targets(store).set("pi-3", 0.25, set_by="ada")

    rows, _ = MetricQueries(store).devices(order_by=column, descending=True)

    values = [getattr(row, column) for row in rows]
    reported = [value for value in values if value is not None]
    assert values == sorted(reported, reverse=True) + [None] * (len(values) - len(reported))
