"""A stranger on the broker who reads what is said of the fleet's host, and says things itself."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from nestling import topics
from nestling_cloud.mqtt.broker_process import Broker
from tests.support.subscriber import Subscriber, subscribed

State = dict[str, int]  # online, timestamp


class StateWatcher:
    """Subscribed to STATE; publishes retained ones, as a Will of an earlier connection would.

    Args:
        broker: where to look.
        line: subscribed to STATE.
    """

    def __init__(self, broker: Broker, line: Subscriber) -> None:
        self._broker = broker
        self._line = line

    def next(self, *, online: bool) -> State:
        """Wait for the next STATE that says so; what comes before it is passed over."""
        while True:
            state = _read(self._line.take().payload)
            if state is not None and state["online"] is online:
                return state

    def say(self, *, online: bool, timestamp: int) -> None:
        """Publish a STATE, retained, and wait until the broker has it."""
        self.say_bytes(json.dumps({"online": online, "timestamp": timestamp}).encode())

    def say_bytes(self, payload: bytes) -> None:
        """Publish anything as STATE, retained."""
        self._line.publish(topics.HOST_STATE, payload, retain=True)

    def retained(self) -> State | None:
        """STATE that a newcomer gets."""
        with subscribed(self._broker.host, self._broker.port, topics.HOST_STATE) as newcomer:
            return _read(newcomer.take().payload)


@contextmanager
def watching_state(broker: Broker) -> Iterator[StateWatcher]:
    """Watch a broker's STATE until the end of the block."""
    with subscribed(broker.host, broker.port, topics.HOST_STATE) as line:
        yield StateWatcher(broker, line)


def _read(payload: bytes) -> State | None:
    try:
        state: State = json.loads(payload)
    except ValueError:
        return None
    return state
