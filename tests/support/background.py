"""Runs the cloud's asyncio services in a background thread, for tests of the synchronous device."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TypeVar

import grpc

from nestling.v1 import delivery_pb2_grpc
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import Broker
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.serving.delivery import DeliveryService
from nestling_cloud.serving.mqtt_delivery import MqttDelivery
from nestling_cloud.store.store import Store
from nestling_cloud.telemetry.ingest import Ingest

_T = TypeVar("_T")


@contextmanager
def background(make: Callable[[], AbstractAsyncContextManager[_T]]) -> Iterator[_T]:
    """Hold an asynchronous context open in a thread, and yield its value."""
    values: list[_T] = []
    stops: list[Callable[[], object]] = []
    started = threading.Event()

    async def hold() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        async with make() as value:
            values.append(value)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(hold()), name="background")
    thread.start()
    try:
        assert started.wait(20), "the service did not start"
        yield values[0]
    finally:
        for stop in stops:
            stop()
        thread.join()


@asynccontextmanager
async def delivery(repository: Repository, broker: Broker) -> AsyncIterator[int]:
    """Serve a repository over gRPC and over a broker, and yield the gRPC port."""
    server = grpc.aio.server()
    delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(DeliveryService(repository), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    mqtt = MqttDelivery(repository, BrokerAddress(host=broker.host, port=broker.port))
    async with running(mqtt.run(), mqtt.subscribed):
        yield port
    await server.stop(None)


@asynccontextmanager
async def ingest(store: Store, *, host: str, port: int) -> AsyncIterator[None]:
    """Store the telemetry that arrives at a broker."""
    service = Ingest(store, BrokerAddress(host=host, port=port))
    async with running(service.run(), service.subscribed):
        yield


@asynccontextmanager
async def running(work: Coroutine[None, None, None], ready: asyncio.Event) -> AsyncIterator[None]:
    """Run a coroutine in a task during the block, which starts once `ready` is set."""
    task = asyncio.create_task(work)
    await ready.wait()
    yield
    while not task.done():  # Python 3.11's wait_for can swallow a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
