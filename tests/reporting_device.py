"""A device's telemetry with its outbox and state, and a stranger who sees what it sends."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.processes import DEADLINE_S

from nestling import metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_device.mqtt import Connection, Message
from nestling_device.outbox import Outbox
from nestling_device.state import State
from nestling_device.telemetry import Telemetry, TelemetryConfig

DEVICE = "pi-1"


class ReportingDevice:
    """A device that answers nothing and reports what it is given.

    Args:
        folder: of its state.
        port: where it takes the broker to be, on 127.0.0.1.
        broker_port: where the broker is, if that differs.
    """

    def __init__(self, folder: Path, port: int, broker_port: int | None = None) -> None:
        everything = [topics.sparkplug("+", DEVICE)]
        self._eyes = Connection(
            "127.0.0.1", broker_port or port, client_id="eyes", subscriptions=everything
        )
        self._outbox = Outbox(folder)
        self._state = State(folder)
        config = TelemetryConfig(
            device_id=DEVICE,
            host="127.0.0.1",
            port=port,
            resend_after_s=600.0,
            reconnect_min_s=0.05,
            reconnect_max_s=0.2,
        )
        self.telemetry = Telemetry(config, self._outbox, self._state)
        self.telemetry.start()
        self.next("NBIRTH")

    def answer(self, first: int, last: int) -> None:
        """Put receipts into the outbox."""
        for index in range(first, last):
            self._outbox.append(_receipt(index))
            self.telemetry.notify()

    def flush(self) -> bool:
        """Wait until everything is acknowledged."""
        return self.telemetry.flush(DEADLINE_S)

    def next(self, message_type: str) -> payload_pb2.Payload:
        """Wait for the device's next message of a type; what comes before it is passed over."""
        return self._until(message_type)[-1]

    def hears_everything(self) -> list[payload_pb2.Payload]:
        """Wait until the device has taken in all that was said before; returns what it sent."""
        rebirth = metrics.metric(metrics.REBIRTH, value=True, timestamp_ms=0)
        payload = payload_pb2.Payload(metrics=[rebirth]).SerializeToString()
        self._eyes.publish(Message(topics.sparkplug("NCMD", DEVICE), payload))
        return self._until("NBIRTH")

    def sends_receipts(self) -> bool:
        """Whether it sends what it holds; a birth sends everything again."""
        self.hears_everything()
        sent = self.hears_everything()  # what it would send it sends between these two
        return any(entry.HasField("bytes_value") for one in sent for entry in one.metrics)

    def _until(self, message_type: str) -> list[payload_pb2.Payload]:
        found: list[payload_pb2.Payload] = []
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            message = self._eyes.receive(0.1)
            if message is None or "/NCMD/" in message.topic:
                continue
            found.append(payload_pb2.Payload.FromString(message.payload))
            if message.topic == topics.sparkplug(message_type, DEVICE):
                return found
        raise AssertionError(f"no {message_type} within {DEADLINE_S} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.telemetry.close()
        self._outbox.close()
        self._state.close()
        self._eyes.close()


def _receipt(index: int) -> receipt_pb2.Receipt:
    return receipt_pb2.Receipt(
        input_index=index,
        answered_at_ms=1_700_000_000_000,
        bundle_version="small-1-abc",
        route=receipt_pb2.Route(capacity=1, reason=receipt_pb2.REASON_ACCEPTED),
        resident_capacity=1,
        latency_ms=1.0,
        latency_provenance=receipt_pb2.PROVENANCE_MODELLED,
        wall_ms=1.0,
    )
