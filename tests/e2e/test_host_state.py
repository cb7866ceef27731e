"""A running host stays online, even if an earlier connection's Will arrives late."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from nestling_cloud.mqtt.broker_process import Broker, start_broker
from nestling_cloud.store.store import Store, store_url
from nestling_device.config.schema import Config, with_values
from nestling_device.doctor import network
from nestling_device.doctor.finding import CheckedDevice, Finding
from nestling_sim.fleet.links import CuttableLink
from tests.support.background import background, ingest
from tests.support.host_state import StateWatcher, watching_state
from tests.support.processes import until
from tests.support.reporting_device import DEVICE, ReportingDevice


@pytest.fixture
def broker() -> Iterator[Broker]:
    with start_broker() as started:
        yield started


@pytest.fixture
def watcher(broker: Broker) -> Iterator[StateWatcher]:
    with watching_state(broker) as watching:
        yield watching


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as opened:
        yield opened


@pytest.fixture
def device(tmp_path: Path, broker: Broker) -> Iterator[ReportingDevice]:
    with ReportingDevice(tmp_path / "device", broker.port) as reporting:
        yield reporting


def running_host(store: Store, broker: Broker | CuttableLink) -> AbstractContextManager[None]:
    """Run a cloud's ingest, connected to a broker directly or over a link."""
    return background(lambda: ingest(store, host="127.0.0.1", port=broker.port))


def look(broker: Broker) -> Finding:
    """Return the doctor's finding about the host."""
    config = with_values(Config(), {("cloud", "broker"): f"{broker.host}:{broker.port}"})
    return network.host(
        CheckedDevice(config=config, identity=None, running=False, activations="uint8")
    )


def stored(store: Store) -> list[int]:
    return sorted(row.input_index for row in store.receipts(DEVICE))


def test_running_host_corrects_a_late_will_of_an_earlier_connection(
    broker: Broker, watcher: StateWatcher, store: Store, device: ReportingDevice
) -> None:
    with running_host(store, broker):
        born = watcher.next(online=True)

        watcher.publish(online=False, timestamp=born["timestamp"] - 1)

        assert watcher.next(online=True) == born
        assert watcher.retained() == born
        device.node.answer(0, 3)
        assert device.node.flush()
    assert stored(store) == [0, 1, 2]


def test_host_publishes_a_newer_birth_after_another_host_ended_its_name(
    broker: Broker, watcher: StateWatcher, store: Store, device: ReportingDevice
) -> None:
    with running_host(store, broker):
        watcher.next(online=True)
        with running_host(store, broker):
            watcher.next(online=True)
        goodbye = watcher.next(online=False)

        born = watcher.next(online=True)

        assert born["timestamp"] >= goodbye["timestamp"]
        assert watcher.retained() == born
        device.node.answer(0, 3)
        assert device.node.flush()
    assert stored(store) == [0, 1, 2]


def test_host_starts_despite_a_retained_death_from_a_clock_ahead(
    broker: Broker, watcher: StateWatcher, store: Store, device: ReportingDevice
) -> None:
    ahead = 4_000_000_000_000
    watcher.publish(online=False, timestamp=ahead)
    device.node.answer(0, 3)

    with running_host(store, broker):
        until(lambda: watcher.next(online=True)["timestamp"] == ahead)
        assert device.node.flush()

    assert watcher.next(online=False)["timestamp"] == ahead
    assert stored(store) == [0, 1, 2]


def test_late_will_of_a_lost_connection_does_not_end_the_next_one(
    broker: Broker, watcher: StateWatcher, store: Store
) -> None:
    with (
        CuttableLink("cloud", broker.host, broker.port) as link,
        running_host(store, link),
    ):
        first = watcher.next(online=True)
        link.cut()
        link.restore()
        second = watcher.next(online=True)
        watcher.publish(online=False, timestamp=first["timestamp"])

        until(lambda: watcher.retained() == second)


def test_unreadable_state_under_the_hosts_name_is_corrected(
    broker: Broker, watcher: StateWatcher, store: Store
) -> None:
    with running_host(store, broker):
        born = watcher.next(online=True)

        watcher.publish_bytes(b"OFFLINE")

        assert watcher.next(online=True) == born


def test_goodbye_carries_the_current_time(
    broker: Broker, watcher: StateWatcher, store: Store
) -> None:
    with running_host(store, broker):
        born = watcher.next(online=True)
        until(lambda: time.time_ns() // 10**6 > born["timestamp"])

    assert watcher.next(online=False)["timestamp"] > born["timestamp"]


def test_device_ignores_a_death_older_than_the_last_birth(
    watcher: StateWatcher, device: ReportingDevice
) -> None:
    watcher.publish(online=True, timestamp=10)
    watcher.publish(online=False, timestamp=9)
    device.node.answer(0, 2)

    assert device.sends_receipts()


def test_device_accepts_a_death_as_old_as_the_last_birth(
    watcher: StateWatcher, device: ReportingDevice
) -> None:
    watcher.publish(online=True, timestamp=10)
    watcher.publish(online=False, timestamp=10)
    device.eyes.ask_for_birth()
    device.node.answer(0, 2)

    assert not device.sends_receipts()


def test_device_forgets_the_host_state_of_an_earlier_connection(
    tmp_path: Path, broker: Broker, watcher: StateWatcher
) -> None:
    with (
        CuttableLink(DEVICE, broker.host, broker.port) as link,
        ReportingDevice(tmp_path / "device", link.port, broker.port) as device,
    ):
        watcher.publish(online=False, timestamp=4_000_000_000_000)
        device.eyes.ask_for_birth()
        link.cut()
        device.eyes.next("NDEATH")
        watcher.publish(online=True, timestamp=10)
        link.restore()
        device.eyes.next("NBIRTH")
        device.node.answer(0, 2)

        assert device.sends_receipts()


def test_doctor_reports_whether_a_cloud_is_online(broker: Broker, watcher: StateWatcher) -> None:
    levels = [look(broker).level]
    watcher.publish(online=True, timestamp=10)
    levels.append(look(broker).level)
    watcher.publish(online=False, timestamp=1_700_000_000_000)

    found = look(broker)

    assert [*levels, found.level] == ["fail", "ok", "fail"]
    assert "offline since 2023-11-14 22:13:20 UTC" in found.found
    assert "nestling-cloud serve" in found.advice


def test_doctor_does_not_blame_the_host_for_a_missing_broker() -> None:
    with start_broker() as gone:
        pass

    assert look(gone).level == "warn"
