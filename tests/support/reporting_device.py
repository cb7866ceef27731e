"""A device's telemetry with its outbox and state, and a stranger who sees what it sends."""

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
from nestling_device.telemetry.publisher import Telemetry, TelemetryConfig
from nestling_device.transport.mqtt_connection import Connection, Message
from tests.support.processes import DEADLINE_S

DEVICE = "pi-1"


def receipt(index: int) -> receipt_pb2.Receipt:
    """Make the receipt of an answer as a device puts it into its outbox."""
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
    """A device that answers nothing and reports what it is given.

    Args:
        folder: of its state.
        port: where it takes the broker to be, on 127.0.0.1.
        resend_after_s: when it sends again what nobody acknowledged.
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
        """Put receipts into the outbox."""
        for index in range(first, last):
            self.outbox.append(receipt(index))
            self.telemetry.notify()

    def flush(self) -> bool:
        """Wait until everything is acknowledged."""
        return self.telemetry.flush(DEADLINE_S)

    def close(self) -> None:
        """Say goodbye and let the files go."""
        self.telemetry.close()
        self.outbox.close()
        self.state.close()


class Eyes:
    """Another client of the broker, that sees everything the device says."""

    def __init__(self, port: int) -> None:
        self.seen: list[str] = []  # topics
        everything = [topics.sparkplug("+", DEVICE)]
        self.line = Connection("127.0.0.1", port, client_id="eyes", subscriptions=everything)

    def next(self, message_type: str) -> payload_pb2.Payload:
        """Wait for the device's next message of a type; what comes before it is passed over."""
        return self.until(message_type)[-1]

    def until(self, message_type: str) -> list[payload_pb2.Payload]:
        """Wait for the device's next message of a type; returns all that it said until then."""
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
        """Write one value to the device."""
        entry = sparkplug_metrics.metric(name, value, timestamp_ms=0)
        payload = payload_pb2.Payload(metrics=[entry]).SerializeToString()
        self.line.publish(Message(topics.sparkplug("NCMD", DEVICE), payload))

    def ask_for_birth(self) -> list[payload_pb2.Payload]:
        """Ask for a rebirth and wait for it; returns all that the device said until then.

        By then it has taken in all that was said to it before.
        """
        self.command(sparkplug_metrics.REBIRTH, value=True)
        return self.until("NBIRTH")

    def say_state(self, *, online: bool) -> None:
        """Publish a STATE."""
        state = json.dumps({"online": online, "timestamp": 0}).encode()
        self.line.publish(Message(topics.HOST_STATE, state))


class ReportingDevice:
    """A device that has been born, and who looks at it.

    Args:
        folder: of its state.
        port: where it takes the broker to be, on 127.0.0.1.
        broker_port: where the broker is, if that differs.
    """

    def __init__(self, folder: Path, port: int, broker_port: int | None = None) -> None:
        self.eyes = Eyes(broker_port or port)
        self.node = Node(folder, port)
        self.eyes.next("NBIRTH")

    def sends_receipts(self) -> bool:
        """Whether it sends what it holds; a birth sends everything again."""
        self.eyes.ask_for_birth()
        sent = self.eyes.ask_for_birth()  # what it would send it sends between these two
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
