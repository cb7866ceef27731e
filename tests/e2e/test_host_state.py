"""A host that lives is online, whatever an earlier connection's Will says late."""

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


def living_host(store: Store, broker: Broker | CuttableLink) -> AbstractContextManager[None]:
    """A cloud's ingest, over a broker or over a link to it."""
    return background(lambda: ingest(store, host="127.0.0.1", port=broker.port))


def look(broker: Broker) -> Finding:
    """What the doctor finds of the host."""
    config = with_values(Config(), {("cloud", "broker"): f"{broker.host}:{broker.port}"})
    return network.host(
        CheckedDevice(config=config, identity=None, running=False, activations="uint8")
    )


def stored(store: Store) -> list[int]:
    return sorted(row.input_index for row in store.receipts(DEVICE))


def test_late_will_of_an_earlier_connection_is_corrected_by_the_living_host(
    broker: Broker, watcher: StateWatcher, store: Store, device: ReportingDevice
) -> None:
    with living_host(store, broker):
        born = watcher.next(online=True)

        watcher.say(online=False, timestamp=born["timestamp"] - 1)

        assert watcher.next(online=True) == born
        assert watcher.retained() == born
        device.node.answer(0, 3)
        assert device.node.flush()
    assert stored(store) == [0, 1, 2]


def test_host_whose_name_another_host_took_down_later_comes_back_with_a_newer_birth(
    broker: Broker, watcher: StateWatcher, store: Store, device: ReportingDevice
) -> None:
    with living_host(store, broker):
        watcher.next(online=True)
        with living_host(store, broker):
            watcher.next(online=True)
        goodbye = watcher.next(online=False)

        born = watcher.next(online=True)

        assert born["timestamp"] >= goodbye["timestamp"]
        assert watcher.retained() == born
        device.node.answer(0, 3)
        assert device.node.flush()
    assert stored(store) == [0, 1, 2]


def test_host_starts_beside_a_death_from_a_clock_that_was_ahead(
    broker: Broker, watcher: StateWatcher, store: Store, device: ReportingDevice
) -> None:
    ahead = 4_000_000_000_000
    watcher.say(online=False, timestamp=ahead)
    device.node.answer(0, 3)

    with living_host(store, broker):
        until(lambda: watcher.next(online=True)["timestamp"] == ahead)
        assert device.node.flush()

    assert watcher.next(online=False)["timestamp"] == ahead
    assert stored(store) == [0, 1, 2]


def test_connection_that_only_the_host_lost_does_not_take_the_next_one_down(
    broker: Broker, watcher: StateWatcher, store: Store
) -> None:
    with (
        CuttableLink("cloud", broker.host, broker.port) as link,
        living_host(store, link),
    ):
        first = watcher.next(online=True)
        link.cut()
        link.restore()
        second = watcher.next(online=True)
        watcher.say(online=False, timestamp=first["timestamp"])

        until(lambda: watcher.retained() == second)


def test_unreadable_state_under_the_hosts_name_is_corrected(
    broker: Broker, watcher: StateWatcher, store: Store
) -> None:
    with living_host(store, broker):
        born = watcher.next(online=True)

        watcher.say_bytes(b"OFFLINE")

        assert watcher.next(online=True) == born


def test_goodbye_has_the_time_of_the_goodbye(
    broker: Broker, watcher: StateWatcher, store: Store
) -> None:
    with living_host(store, broker):
        born = watcher.next(online=True)
        until(lambda: time.time_ns() // 10**6 > born["timestamp"])

    assert watcher.next(online=False)["timestamp"] > born["timestamp"]


def test_device_ignores_a_death_older_than_the_birth_that_it_believes(
    watcher: StateWatcher, device: ReportingDevice
) -> None:
    watcher.say(online=True, timestamp=10)
    watcher.say(online=False, timestamp=9)
    device.node.answer(0, 2)

    assert device.sends_receipts()


def test_device_believes_a_death_as_old_as_the_birth(
    watcher: StateWatcher, device: ReportingDevice
) -> None:
    watcher.say(online=True, timestamp=10)
    watcher.say(online=False, timestamp=10)
    device.eyes.ask_for_birth()
    device.node.answer(0, 2)

    assert not device.sends_receipts()


def test_device_takes_another_brokers_word_afresh(
    tmp_path: Path, broker: Broker, watcher: StateWatcher
) -> None:
    with (
        CuttableLink(DEVICE, broker.host, broker.port) as link,
        ReportingDevice(tmp_path / "device", link.port, broker.port) as device,
    ):
        watcher.say(online=False, timestamp=4_000_000_000_000)
        device.eyes.ask_for_birth()
        link.cut()
        device.eyes.next("NDEATH")
        watcher.say(online=True, timestamp=10)
        link.restore()
        device.eyes.next("NBIRTH")
        device.node.answer(0, 2)

        assert device.sends_receipts()


def test_doctor_tells_whether_a_cloud_is_online(broker: Broker, watcher: StateWatcher) -> None:
    levels = [look(broker).level]
    watcher.say(online=True, timestamp=10)
    levels.append(look(broker).level)
    watcher.say(online=False, timestamp=1_700_000_000_000)

    found = look(broker)

    assert [*levels, found.level] == ["fail", "ok", "fail"]
    assert "offline since 2023-11-14 22:13:20 UTC" in found.found
    assert "nestling-cloud serve" in found.advice


def test_doctor_blames_the_host_for_nothing_that_the_broker_does() -> None:
    with start_broker() as gone:
        pass

    assert look(gone).level == "warn"
