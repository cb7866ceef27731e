"""A broker client that reads the fleet host's STATE messages and publishes its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from nestling import topics
from nestling_cloud.mqtt.broker_process import Broker
from tests.support.subscriber import Subscriber, subscribed

State = dict[str, int]  # online, timestamp


class StateWatcher:
    """Reads STATE, and publishes retained STATE messages as the Will of an old connection would.

    Args:
        broker: the broker.
        line: a client that is subscribed to STATE.
    """

    def __init__(self, broker: Broker, line: Subscriber) -> None:
        self._broker = broker
        self._line = line

    def next(self, *, online: bool) -> State:
        """Wait for the next STATE with this value of `online`, skipping others."""
        while True:
            state = _read(self._line.take().payload)
            if state is not None and state["online"] is online:
                return state

    def publish(self, *, online: bool, timestamp: int) -> None:
        """Publish a retained STATE and wait until the broker has it."""
        self.publish_bytes(json.dumps({"online": online, "timestamp": timestamp}).encode())

    def publish_bytes(self, payload: bytes) -> None:
        """Publish any bytes as a retained STATE."""
        self._line.publish(topics.HOST_STATE, payload, retain=True)

    def retained(self) -> State | None:
        """Return the STATE that a new subscriber receives."""
        with subscribed(self._broker.host, self._broker.port, topics.HOST_STATE) as client:
            return _read(client.take().payload)


@contextmanager
def watching_state(broker: Broker) -> Iterator[StateWatcher]:
    """Watch a broker's STATE during the block."""
    with subscribed(broker.host, broker.port, topics.HOST_STATE) as line:
        yield StateWatcher(broker, line)


def _read(payload: bytes) -> State | None:
    try:
        state: State = json.loads(payload)
    except ValueError:
        return None
    return state
