"""A device's telemetry with its outbox and state, and a second client that observes it."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from nestling_device.telemetry.publisher import Telemetry
from nestling_device.telemetry.telemetry_config import TelemetryConfig
from nestling_device.transport.mqtt_connection import Connection, Message
from tests.support.processes import DEADLINE_S

DEVICE = "pi-1"


def receipt(index: int) -> receipt_pb2.Receipt:
    """Make a receipt as a device appends it to its outbox."""
    made = receipt_pb2.Receipt(
        input_index=index,
        answered_at_ms=1_700_000_000_000,
        bundle_version="small-1-abc",
        route=receipt_pb2.Route(capacity=1, reason=receipt_pb2.REASON_ACCEPTED),
        resident_capacity=1,
        latency_ms=1.0,
        latency_provenance=receipt_pb2.PROVENANCE_MODELLED,
        wall_ms=1.0,
        success=[0.5, 0.75],
    )
    made.energy.add(source="compute", energy_mj=1.0, provenance=receipt_pb2.PROVENANCE_MODELLED)
    return made


class Node:
    """The telemetry of a device, without its inference.

    Args:
        folder: its state folder.
        port: port on 127.0.0.1 that it uses for the broker.
        resend_after_s: time after which it resends unacknowledged receipts.
    """

    def __init__(self, folder: Path, port: int, *, resend_after_s: float = 600.0) -> None:
        self.outbox = Outbox(folder)
        self.state = State(folder)
        config = TelemetryConfig(
            device_id=DEVICE,
            host="127.0.0.1",
            port=port,
            batch_limit=10,
            resend_after_s=resend_after_s,
            reconnect_min_s=0.05,
            reconnect_max_s=0.2,
        )
        self.telemetry = Telemetry(config, self.outbox, self.state)
        self.telemetry.start()

    def answer(self, first: int, last: int) -> None:
        """Append receipts for the inputs `first` to `last` - 1 to the outbox."""
        for index in range(first, last):
            self.outbox.append(receipt(index))
            self.telemetry.notify()

    def flush(self) -> bool:
        """Wait until every receipt is acknowledged; return False on timeout."""
        return self.telemetry.flush(DEADLINE_S)

    def close(self) -> None:
        """End telemetry in an orderly way and close the files."""
        self.telemetry.close()
        self.outbox.close()
        self.state.close()


class Eyes:
    """Another client of the broker, which receives every message of the device."""

    def __init__(self, port: int) -> None:
        self.seen: list[str] = []  # topics of the received messages
        everything = [topics.sparkplug("+", DEVICE)]
        self.line = Connection("127.0.0.1", port, client_id="eyes", subscriptions=everything)

    def next(self, message_type: str) -> payload_pb2.Payload:
        """Wait for the device's next message of a type, skipping others."""
        return self.until(message_type)[-1]

    def until(self, message_type: str) -> list[payload_pb2.Payload]:
        """Wait for the device's next message of a type, and return all messages up to it."""
        found: list[payload_pb2.Payload] = []
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            message = self.line.receive(0.1)
            if message is None or "/NCMD/" in message.topic:
                continue
            self.seen.append(message.topic)
            found.append(payload_pb2.Payload.FromString(message.payload))
            if message.topic == topics.sparkplug(message_type, DEVICE):
                return found
        raise AssertionError(f"no {message_type} within {DEADLINE_S} s")

    def command(self, name: str, value: sparkplug_metrics.MetricValue) -> None:
        """Send the device a command with one metric."""
        entry = sparkplug_metrics.metric(name, value, timestamp_ms=0)
        payload = payload_pb2.Payload(metrics=[entry]).SerializeToString()
        self.line.publish(Message(topics.sparkplug("NCMD", DEVICE), payload))

    def ask_for_birth(self) -> list[payload_pb2.Payload]:
        """Request a rebirth, wait for it and return all messages up to it.

        The device has then handled every message that was sent to it before.
        """
        self.command(sparkplug_metrics.REBIRTH, value=True)
        return self.until("NBIRTH")

    def publish_state(self, *, online: bool) -> None:
        """Publish a STATE."""
        state = json.dumps({"online": online, "timestamp": 0}).encode()
        self.line.publish(Message(topics.HOST_STATE, state))


class ReportingDevice:
    """The telemetry of a device that has published its birth, and an observer.

    Args:
        folder: its state folder.
        port: port on 127.0.0.1 that it uses for the broker.
        broker_port: port of the broker itself, if that differs.
    """

    def __init__(self, folder: Path, port: int, broker_port: int | None = None) -> None:
        self.eyes = Eyes(broker_port or port)
        self.node = Node(folder, port)
        self.eyes.next("NBIRTH")

    def sends_receipts(self) -> bool:
        """Return whether the device sends receipts; each rebirth makes it resend all of them."""
        self.eyes.ask_for_birth()
        sent = self.eyes.ask_for_birth()  # it would send them between these two
        return any(entry.HasField("bytes_value") for one in sent for entry in one.metrics)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.node.close()
        self.eyes.line.close()
