"""A plain MQTT client, independent of Nestling's code, that records messages and publishes."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.processes import DEADLINE_S

_END = "end-of-earlier-messages"


class DeviceMessage(NamedTuple):
    """A received message."""

    topic: str
    payload: bytes


class Subscriber:
    """A subscribed client, and the messages that it has received."""

    def __init__(self, client: mqtt.Client) -> None:
        self._client = client
        self._messages: queue.Queue[DeviceMessage] = queue.Queue()

    def take(self) -> DeviceMessage:
        """Wait for the next message."""
        return self._messages.get(timeout=DEADLINE_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish a message and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(DEADLINE_S)

    def rest(self) -> list[DeviceMessage]:
        """Return all messages that the broker received before this call."""
        self._client.publish(_END, b"", qos=1)
        return list(iter(self.take, DeviceMessage(_END, b"")))

    def put(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        """Record a message; called by paho."""
        self._messages.put(DeviceMessage(message.topic, bytes(message.payload)))


@contextmanager
def subscribed(host: str, port: int, topic_filter: str) -> Iterator[Subscriber]:
    """Subscribe during the block.

    Args:
        host: host of the broker.
        port: port of the broker.
        topic_filter: topics to subscribe to.
    """
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    found, ready = Subscriber(client), queue.Queue[int]()
    client.on_message = found.put
    client.on_subscribe = lambda _c, _d, mid, _codes, _props: ready.put(mid)
    client.connect(host, port)
    client.loop_start()
    client.subscribe([(topic_filter, 1), (_END, 1)])
    ready.get(timeout=DEADLINE_S)
    try:
        yield found
    finally:
        client.disconnect()
        client.loop_stop()
