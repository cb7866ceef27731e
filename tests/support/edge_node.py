"""A scripted Sparkplug edge node, built on paho and the payload messages alone."""

import queue
import socket
from collections.abc import Mapping

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2
from tests.support.processes import DEADLINE_S

_ALIAS = 3
# Writable metrics; the birth certificate names them, commands refer to them by alias.
_WRITABLE = {
    sparkplug_metrics.ACKNOWLEDGED: 4,
    sparkplug_metrics.OFFLOAD_TARGET: 5,
    sparkplug_metrics.DESIRED_BUNDLE: 6,
}
_NAMES = {alias: name for name, alias in _WRITABLE.items()}


class Node:
    """One connection of an edge node to a broker."""

    def __init__(self, host: str, port: int, device: str = "pi-1", *, will: bool = False) -> None:
        # Commands about telemetry, and commands with a target or the desired bundle.
        self.commands: queue.Queue[payload_pb2.Payload.Metric] = queue.Queue()
        self.targets: queue.Queue[payload_pb2.Payload.Metric] = queue.Queue()
        self.device = device
        self._subscribed: queue.Queue[int] = queue.Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda _c, _d, mid, _codes, _props: self._subscribed.put(mid)
        if will:
            self._client.will_set(topics.sparkplug("NDEATH", device), _death())
        self._client.connect(host, port)
        self._client.loop_start()
        self._client.subscribe(topics.sparkplug("NCMD", device), qos=1)
        self._subscribed.get(timeout=DEADLINE_S)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        for entry in payload_pb2.Payload.FromString(bytes(message.payload)).metrics:
            entry.name = entry.name or _NAMES.get(entry.alias, "")
            target = entry.name in {
                sparkplug_metrics.OFFLOAD_TARGET,
                sparkplug_metrics.DESIRED_BUNDLE,
            }
            (self.targets if target else self.commands).put(entry)

    def publish(self, message_type: str, payload: bytes) -> None:
        """Publish a payload without checking it.

        Args:
            message_type: such as "NDATA".
            payload: the bytes.
        """
        topic = topics.sparkplug(message_type, self.device)
        self._client.publish(topic, payload, qos=1).wait_for_publish(DEADLINE_S)

    def birth(self, values: Mapping[str, sparkplug_metrics.MetricValue] | None = None) -> None:
        """Publish a birth certificate with further metrics."""
        payload = payload_pb2.Payload(seq=0, timestamp=1)
        payload.metrics.append(
            sparkplug_metrics.metric(sparkplug_metrics.BD_SEQ, 0, timestamp_ms=1)
        )
        payload.metrics.append(
            sparkplug_metrics.metric(sparkplug_metrics.REBIRTH, False, timestamp_ms=1)
        )
        payload.metrics.append(
            sparkplug_metrics.metric(sparkplug_metrics.RECEIPTS, b"", timestamp_ms=1, alias=_ALIAS)
        )
        metrics: dict[str, sparkplug_metrics.MetricValue | None] = {
            **dict.fromkeys(_WRITABLE),
            **(values or {}),
        }
        for name, value in metrics.items():
            alias = _WRITABLE.get(name)
            payload.metrics.append(
                sparkplug_metrics.metric(name, value, timestamp_ms=1, alias=alias)
            )
        self.publish("NBIRTH", payload.SerializeToString())

    def data(self, seq: int, batch: bytes, name: str = "") -> None:
        """Publish a batch of receipts.

        Args:
            seq: sequence number of the message.
            batch: the serialized batch.
            name: name of the metric; "" to use the alias from the birth certificate.
        """
        payload = payload_pb2.Payload(seq=seq, timestamp=1)
        alias = None if name else _ALIAS
        payload.metrics.append(sparkplug_metrics.metric(name, batch, timestamp_ms=1, alias=alias))
        self.publish("NDATA", payload.SerializeToString())

    def death(self) -> None:
        """Publish the death certificate of this birth."""
        self.publish("NDEATH", _death())

    def command(self) -> payload_pb2.Payload.Metric:
        """Wait for the next metric of a command about telemetry."""
        return self.commands.get(timeout=DEADLINE_S)

    def target(self) -> payload_pb2.Payload.Metric:
        """Wait for the next metric of a command about targets or the desired bundle."""
        return self.targets.get(timeout=DEADLINE_S)

    def acknowledged(self) -> tuple[str, int]:
        """Wait for the next acknowledgement, skipping rebirth requests.

        Returns:
            The outbox id and the sequence.
        """
        entry = self.command()
        while entry.name == sparkplug_metrics.REBIRTH:
            entry = self.command()
        assert entry.name == sparkplug_metrics.ACKNOWLEDGED
        acknowledgement = receipt_pb2.OutboxAcknowledgement.FromString(entry.bytes_value)
        return acknowledgement.outbox_id, acknowledgement.sequence

    def close(self) -> None:
        """Disconnect from the broker in an orderly way."""
        self._client.disconnect()
        self._client.loop_stop()

    def vanish(self) -> None:
        """Break the connection without a DISCONNECT, as a power cut does."""
        connection = self._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()


def batch_of(*sequences: int) -> bytes:
    """Return the serialized batch of receipts with these sequences."""
    batch = receipt_pb2.ReceiptBatch(outbox_id="outbox")
    for sequence in sequences:
        receipt = batch.receipts.add(sequence=sequence, input_index=sequence, answer=1)
        receipt.route.CopyFrom(receipt_pb2.Route(capacity=1, reason=receipt_pb2.REASON_ACCEPTED))
        receipt.latency_provenance = receipt_pb2.PROVENANCE_MODELLED
    return batch.SerializeToString()


def _death() -> bytes:
    entry = sparkplug_metrics.metric(sparkplug_metrics.BD_SEQ, 0, timestamp_ms=1)
    return payload_pb2.Payload(metrics=[entry]).SerializeToString()
