"""A stranger on the broker that sees what is said of the fleet's host, and says things itself."""

import json
import queue
import time
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from tests.processes import DEADLINE_S

from nestling import topics
from nestling_cloud.broker import Broker

State = dict[str, int]  # online, timestamp


class StateWatcher:
    """Subscribed to STATE; publishes retained ones, as a Will of an earlier connection would."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._heard: queue.Queue[bytes] = queue.Queue()
        self._client = _subscribed(broker, self._heard)

    def next(self, *, online: bool) -> State:
        """Wait for the next STATE that says so; what comes before it is passed over."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            state = _read(self._heard.get(timeout=max(0.0, deadline - time.monotonic())))
            if state is not None and state["online"] is online:
                return state

    def say(self, *, online: bool, timestamp: int) -> None:
        """Publish a STATE, retained, and wait until the broker has it."""
        self.say_bytes(json.dumps({"online": online, "timestamp": timestamp}).encode())

    def say_bytes(self, payload: bytes) -> None:
        """Publish anything as STATE, retained."""
        sent = self._client.publish(topics.HOST_STATE, payload, qos=1, retain=True)
        sent.wait_for_publish(DEADLINE_S)

    def retained(self) -> State | None:
        """STATE that a newcomer gets."""
        heard: queue.Queue[bytes] = queue.Queue()
        client = _subscribed(self._broker, heard)
        try:
            return _read(heard.get(timeout=DEADLINE_S))
        finally:
            _close(client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _close(self._client)


def _subscribed(broker: Broker, heard: queue.Queue[bytes]) -> mqtt.Client:
    settled: queue.Queue[int] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: heard.put(bytes(message.payload))
    client.on_subscribe = lambda _c, _d, mid, _codes, _props: settled.put(mid)
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.subscribe(topics.HOST_STATE, qos=1)
    settled.get(timeout=DEADLINE_S)
    return client


def _close(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


def _read(payload: bytes) -> State | None:
    try:
        state: State = json.loads(payload)
    except ValueError:
        return None
    return state
