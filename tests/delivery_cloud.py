"""The cloud's two delivery services over one repository, in a thread of their own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from nestling.v1 import delivery_pb2_grpc
from nestling_cloud.broker import Broker
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.connection import BrokerAddress
from nestling_cloud.serving.delivery import DeliveryService
from nestling_cloud.serving.mqtt_delivery import MqttDelivery


@contextmanager
def delivery_cloud(repository: Repository, broker: Broker) -> Iterator[int]:
    """Serve a repository over gRPC and over a broker; yields the gRPC port."""
    ports: list[int] = []
    stops: list[Callable[[], None]] = []
    ready = threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        server = grpc.aio.server()
        delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(DeliveryService(repository), server)
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        mqtt = MqttDelivery(repository, BrokerAddress(host=broker.host, port=broker.port))
        task = asyncio.create_task(mqtt.run())
        await mqtt.subscribed.wait()
        ready.set()
        await stop.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop(None)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="delivery-cloud")
    thread.start()
    try:
        assert ready.wait(20), "the delivery services did not start"
        yield ports[0]
    finally:
        for stop in stops:
            stop()
        thread.join()
