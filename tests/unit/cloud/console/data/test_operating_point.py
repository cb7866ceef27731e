import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling import sparkplug_metrics
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.data.console_data import ConsoleData, console_parts, device_start
from nestling_cloud.console.data.operating_point import read_state
from nestling_cloud.console.data.stored_rounds import StoredRounds
from nestling_cloud.federated.round_log import RoundLog
from nestling_cloud.store import device_registry
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.telemetry.ingest_status import IngestStatus

UPLINK = IngestStatus(broker="127.0.0.1:1883", connected=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "store.sqlite"))) as made:
        yield made


@pytest.fixture
def parts(store: Store, tmp_path: Path) -> Iterator[ConsoleData]:
    with RoundLog(store_url(str(tmp_path / "store.sqlite"))) as log:
        start = device_start(grpc="", broker="", enrolment=None)
        yield console_parts(
            Repository(tmp_path),
            store,
            StoredRounds(log),
            start,
            uplink=lambda: UPLINK,
            served=lambda: (),
        )


def test_share_in_force_is_that_of_the_device_not_of_boards_with_its_name(
    parts: ConsoleData, store: Store
) -> None:
    others: dict[str, sparkplug_metrics.MetricValue] = {
        sparkplug_metrics.PROFILE: "pi-5",
        sparkplug_metrics.OFFLOAD_SHARE: 0.1,
    }
    reports = [device_registry.report(f"a-{n}", others, seen_ms=1) for n in range(150)]
    own: dict[str, sparkplug_metrics.MetricValue] = {sparkplug_metrics.OFFLOAD_SHARE: 0.4}
    store.add_all([], [*reports, device_registry.report("pi-5", own, seen_ms=1)])

    assert asyncio.run(read_state(parts, "pi-5")).in_force == (0.4, 0.4)
    assert asyncio.run(read_state(parts, None)).in_force == (0.1, 0.4)
    assert asyncio.run(read_state(parts, "nobody")).in_force is None


def test_last_change_is_found_among_many_changes_of_other_devices(parts: ConsoleData) -> None:
    of_fleet = parts.targets.set(None, 0.2, set_by="ada")
    of_one = parts.targets.set("pi-5", 0.4, set_by="ada")
    others = [parts.targets.set(f"a-{n}", 0.1, set_by="bob") for n in range(101)]

    state = asyncio.run(read_state(parts, "pi-5"))

    assert (state.target, state.last_change) == (0.4, of_one)
    assert state.log == tuple(others[:-21:-1])
    assert asyncio.run(read_state(parts, None)).last_change == of_fleet
    assert asyncio.run(read_state(parts, "pi-6")).last_change == of_fleet
