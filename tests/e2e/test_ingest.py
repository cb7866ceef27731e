"""Ingest passes messages on and sends commands, over a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from nestling import sparkplug_metrics
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.mqtt.broker_process import Broker, start_broker
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.store import device_registry
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import CommitResult, Store, store_url
from nestling_cloud.telemetry import commit_queue
from nestling_cloud.telemetry.ingest import Ingest
from nestling_cloud.telemetry.ingest_status import IngestStatus
from tests.support.background import running
from tests.support.edge_node import Node, batch_of
from tests.support.processes import until


@pytest.fixture
def broker() -> Iterator[Broker]:
    with start_broker() as started:
        yield started


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as opened:
        yield opened


class DeviceMessage(NamedTuple):
    """The arguments of one call of the listener."""

    device: str
    values: Mapping[str, sparkplug_metrics.MetricValue | None]
    born: bool


@contextlib.asynccontextmanager
async def listening(
    store: Store, broker: Broker, received: "asyncio.Queue[DeviceMessage] | None" = None
) -> AsyncIterator[Ingest]:
    def listen(
        device: str, values: Mapping[str, sparkplug_metrics.MetricValue | None], *, born: bool
    ) -> None:
        if received is not None:
            received.put_nowait(DeviceMessage(device, values, born))

    address = BrokerAddress(host=broker.host, port=broker.port)
    ingest = Ingest(store, address, on_message=listen)
    async with running(ingest.run(), ingest.subscribed):
        yield ingest


def test_listener_gets_births_and_data_in_order(store: Store, broker: Broker) -> None:
    async def listen() -> list[DeviceMessage]:
        received: asyncio.Queue[DeviceMessage] = asyncio.Queue()
        async with listening(store, broker, received):
            node = await asyncio.to_thread(Node, broker.host, broker.port)
            await asyncio.to_thread(node.birth, {sparkplug_metrics.OFFLOAD_SHARE: 0.5})
            await asyncio.to_thread(node.data, 1, batch_of(1))
            await asyncio.to_thread(node.death)
            await asyncio.to_thread(node.birth, {sparkplug_metrics.OFFLOAD_SHARE: 0.75})
            found = [await received.get() for _ in range(3)]
            node.close()
            return found

    birth, data, again = asyncio.run(listen())

    assert (birth.device, birth.born, birth.values[sparkplug_metrics.OFFLOAD_SHARE]) == (
        "pi-1",
        True,
        0.5,
    )
    assert (data.born, list(data.values)) == (False, [sparkplug_metrics.RECEIPTS])
    assert (again.born, again.values[sparkplug_metrics.OFFLOAD_SHARE]) == (True, 0.75)


def test_command_reaches_the_device_with_values_and_nulls(store: Store, broker: Broker) -> None:
    async def command() -> tuple[list[bool], list[sparkplug_metrics.Metric]]:
        received: asyncio.Queue[DeviceMessage] = asyncio.Queue()
        async with listening(store, broker, received) as ingest:
            node = await asyncio.to_thread(Node, broker.host, broker.port)
            wanted = {
                sparkplug_metrics.OFFLOAD_TARGET: None,
                sparkplug_metrics.DESIRED_BUNDLE: "tiny-2",
            }
            sent = [await ingest.command("pi-1", wanted)]
            await asyncio.to_thread(node.birth)
            await received.get()
            sent.append(await ingest.command("pi-1", wanted))
            entries = [await asyncio.to_thread(node.target) for _ in range(2)]
            node.close()
            return sent, entries

    sent, (share, bundle) = asyncio.run(command())

    assert sent == [False, True]
    assert (share.name, share.is_null) == (sparkplug_metrics.OFFLOAD_TARGET, True)
    assert (bundle.name, bundle.string_value) == (sparkplug_metrics.DESIRED_BUNDLE, "tiny-2")


def test_command_without_a_connection_is_not_sent(store: Store) -> None:
    ingest = Ingest(store, BrokerAddress(host="127.0.0.1", port=1))

    assert asyncio.run(ingest.command("pi-1", {sparkplug_metrics.REBIRTH: True})) is False


_REFUSE = """
CREATE TRIGGER refuse BEFORE INSERT ON devices BEGIN SELECT RAISE(ABORT, 'out of order'); END
"""


def execute(store: Store, statement: str) -> None:
    with store.writing() as connection:
        connection.execute(sa.text(statement))


def test_reports_received_while_the_store_failed_are_written_later(
    store: Store, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    def stored() -> list[tuple[str, bool]]:
        rows, _ = MetricQueries(store).devices()
        return [(row.profile, row.online) for row in rows]

    def fail_once(uplink: Callable[[], IngestStatus]) -> None:
        node = Node(broker.host, broker.port)
        execute(store, _REFUSE)
        node.birth({sparkplug_metrics.PROFILE: "pi-5"})
        until(lambda: "out of order" in caplog.text)
        until(lambda: "out of order" in uplink().store_fault)
        node.death()
        execute(store, "DROP TRIGGER refuse")
        until(lambda: stored() == [("pi-5", False)])
        until(lambda: not uplink().store_fault)
        node.close()

    async def listen() -> None:
        async with listening(store, broker) as ingest:
            await asyncio.to_thread(fail_once, ingest.uplink)

    asyncio.run(listen())


def test_broker_that_closes_connections_while_starting_is_retried_at_once(store: Store) -> None:
    async def connect() -> None:
        refused = asyncio.Event()

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            refused.set()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as starting:
            port = starting.sockets[0].getsockname()[1]
            ingest = Ingest(store, BrokerAddress(host="127.0.0.1", port=port))
            work = asyncio.create_task(ingest.run())
            await refused.wait()
        with await asyncio.to_thread(start_broker, port=port):
            # aiomqtt alone would wait 10 s for the answer to its first CONNECT.
            await asyncio.wait_for(ingest.subscribed.wait(), 9)
            work.cancel()
            await asyncio.wait([work])

    asyncio.run(connect())


class FullStore(Store):
    """A store whose commits fail, and which counts them."""

    attempts = 0

    def add_all(
        self, deliveries: Sequence[Delivery], reports: Sequence[device_registry.Report] = ()
    ) -> CommitResult:
        del deliveries, reports
        self.attempts += 1
        raise sa.exc.OperationalError("INSERT", None, OSError("no space left on device"))


def test_repeated_failure_of_the_store_is_logged_once(
    tmp_path: Path,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(commit_queue, "_STORE_RETRY_S", 0.0)

    async def fail(store: FullStore) -> IngestStatus:
        async with listening(store, broker) as ingest:
            node = await asyncio.to_thread(Node, broker.host, broker.port)
            await asyncio.to_thread(node.birth)
            await asyncio.to_thread(until, lambda: store.attempts > 3)
            node.close()
            return ingest.uplink()

    with FullStore(store_url(str(tmp_path / "full.sqlite"))) as store:
        uplink = asyncio.run(fail(store))

    assert uplink.store_fault == "no space left on device"
    assert [line for line in caplog.messages if "could not store" in line] == [
        "could not store 0 batches; the devices will repeat them: no space left on device"
    ]
