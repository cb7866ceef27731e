"""Publishes the outbox to the cloud as a Sparkplug B edge node.

Durability does not depend on the broker. A receipt is sent again and again until the cloud
acknowledges that it has stored the receipt. Only then is the receipt removed from the outbox,
unless a full outbox had to drop it earlier.
"""

import logging
import secrets
import threading
import time
from dataclasses import replace
from typing import Self

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto

from nestling import topics
from nestling.v1 import receipt_pb2
from nestling_core.clock import unix_ms
from nestling_core.closing import Closing
from nestling_core.parsing.throttled_log import ThrottledLog
from nestling_core.telemetry.host_state import HostState, read_host_state
from nestling_device.errors import DeviceError
from nestling_device.storage.database import StorageError
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import AcknowledgementEffect, Outbox
from nestling_device.telemetry.send_window import SendWindow
from nestling_device.telemetry.sparkplug_node import Gauges, SparkplugNode, read_command
from nestling_device.telemetry.telemetry_config import TelemetryConfig
from nestling_device.transport.mqtt_connection import BrokerConnectError, Connection, Message

_log = logging.getLogger(__name__)
_LONGEST_IDLE_S = 60.0


class Telemetry(Closing):
    """A thread that exchanges messages with the cloud through the broker.

    It sends the outbox's receipts and the gauges, and receives acknowledgements, target shares and
    the version of the desired bundle. If the outbox or the state cannot be read or written, the
    thread ends with StorageError.
    """

    def __init__(self, config: TelemetryConfig, outbox: Outbox, state: State) -> None:
        """Prepare the thread without starting it.

        Args:
            config: the settings, which say where and how to send.
            outbox: the outbox whose receipts are sent.
            state: the device's state, which counts the connections for Sparkplug's bdSeq.

        Raises:
            ValueError: the device id is not allowed in a topic.
        """
        self._config = config
        self._outbox = outbox
        self._state = state
        self._commands = topics.sparkplug("NCMD", topics.check_device_id(config.device_id))
        # Not guessable: the broker closes a connection when another client uses the same id.
        self._client_id = f"{config.device_id}-telemetry-{secrets.token_hex(8)}"
        self._gauges = Gauges()
        self._window = self._new_window()
        self._node: SparkplugNode | None = None  # for the next connection
        self._connection: Connection | None = None
        self._host: HostState | None = None  # assumed online until it reports otherwise
        self._unreadable = ThrottledLog(_log)
        self._target_share: float | None = None
        self._desired_bundle = ""
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._emptied = threading.Condition()
        self._bytes_sent = 0
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{config.device_id}")

    @property
    def bytes_sent(self) -> int:
        """The total size of the MQTT PUBLISH packets sent so far, in bytes, without TCP/IP."""
        return self._bytes_sent

    @property
    def target_share(self) -> float | None:
        """The target offload share that the console has set, or None if it has set none."""
        return self._target_share

    @property
    def desired_bundle(self) -> str:
        """The version of the bundle that the cloud wants on this device, or "" if none was sent."""
        return self._desired_bundle

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def notify(self) -> None:
        """Wake the thread to send new receipts or gauges."""
        connection = self._connection
        if connection is not None:
            connection.wake()

    def set_gauges(self, gauges: Gauges) -> None:
        """Set the gauges to report.

        Only gauges whose values have changed are sent.
        """
        self._gauges = gauges
        self.notify()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the cloud has acknowledged everything in the outbox.

        If the thread pauses before another attempt to connect, the pause ends at once.

        Args:
            timeout_s: the longest wait, in seconds.

        Returns:
            True if everything was acknowledged in time.
        """
        self._hurry.set()
        self.notify()
        with self._emptied:
            return self._emptied.wait_for(lambda: self._outbox.marks().depth == 0, timeout_s)

    def close(self) -> None:
        """End the thread within seconds.

        If the thread is connected, it first publishes NDEATH, which ends a Sparkplug connection.
        Unacknowledged receipts stay in the outbox.
        """
        self._stop.set()
        self._hurry.set()
        self.notify()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def _run(self) -> None:
        wait_s = self._config.reconnect_min_s
        while not self._stop.is_set():
            try:
                self._connect_and_serve()
            except StorageError:
                raise  # reconnecting cannot fix this: the error ends the process
            except DeviceError as err:
                _log.info("%s: telemetry waits: %s", self._config.device_id, err)
            if self._connection is not None or self._hurry.is_set():
                wait_s = self._config.reconnect_min_s
            self._connection = None
            self._hurry.clear()
            if not self._stop.is_set():
                self._hurry.wait(wait_s)
            wait_s = min(2 * wait_s, self._config.reconnect_max_s)

    def _connect_and_serve(self) -> None:
        node = self._node or SparkplugNode(self._state.next_bd_seq())
        with self._connect(node) as connection:
            self._connection = connection
            self._host = None  # a state from an earlier connection is outdated
            self._serve(connection, node)
            self._publish(connection, "NDEATH", node.death(now_ms=unix_ms()))

    def _connect(self, node: SparkplugNode) -> Connection:
        self._node = None  # its bdSeq is used up: the broker may fire its Will late
        try:
            return Connection(
                self._config.host,
                self._config.port,
                client_id=self._client_id,
                subscriptions=[self._commands, topics.HOST_STATE],
                identity=self._config.identity,
                will=self._message("NDEATH", node.death(now_ms=unix_ms())),
            )
        except BrokerConnectError:
            self._node = node  # the broker has not seen its bdSeq, so it can be used again
            raise

    def _serve(self, connection: Connection, node: SparkplugNode) -> None:
        self._birth(connection, node)
        while not self._stop.is_set():
            self._send_due(connection, node)
            resend_in_s = self._window.resend_in_s(now_s=time.monotonic())
            message = connection.receive(min(max(resend_in_s, 0.0), _LONGEST_IDLE_S))
            if message is None:
                continue
            if message.topic == topics.HOST_STATE:
                self._update_host(message)
            else:
                self._execute(connection, node, message.payload)

    def _birth(self, connection: Connection, node: SparkplugNode) -> None:
        birth = node.birth(self._current_gauges(), self._outbox.marks().depth, now_ms=unix_ms())
        self._publish(connection, "NBIRTH", birth)
        self._window.restart()

    def _current_gauges(self) -> Gauges:
        return replace(
            self._gauges,
            offload_target=self._target_share,
            desired_bundle=self._desired_bundle or None,
        )

    def _send_due(self, connection: Connection, node: SparkplugNode) -> None:
        while True:
            now_s = time.monotonic()
            marks = self._outbox.marks()
            after = self._window.due(marks.last, now_s=now_s)
            due = None
            if after is not None and (self._host is None or self._host.online):
                due = self._outbox.batch(self._config.batch_limit, after=after)
            payload = node.data(
                self._current_gauges(),
                due.depth if due is not None else marks.depth,
                due.batch if due is not None else None,
                historical=due is not None and self._window.is_historical(due.first),
                now_ms=unix_ms(),
            )
            if payload is not None:
                self._publish(connection, "NDATA", payload)
            if due is None:
                return
            self._window.sent(due.last, now_s=now_s)

    def _execute(self, connection: Connection, node: SparkplugNode, data: bytes) -> None:
        try:
            command = read_command(data)
        except DecodeError as err:
            self._unreadable.add("a command", "the host", err)
            return
        if command.acknowledgement is not None:
            self._settle(command.acknowledgement)
        if command.target is not None:
            self._target_share = command.target.share
        if command.desired_bundle is not None:
            self._desired_bundle = command.desired_bundle
        if command.rebirth:
            self._birth(connection, node)

    def _settle(self, acknowledgement: receipt_pb2.OutboxAcknowledgement) -> None:
        effect = self._outbox.acknowledge(acknowledgement)
        if effect is AcknowledgementEffect.SETTLED:
            self._window.acknowledged(self._outbox.marks().acknowledged, now_s=time.monotonic())
            with self._emptied:
                self._emptied.notify_all()
        elif effect is AcknowledgementEffect.FORKED:
            _log.warning(
                "%s: the cloud has other receipts under the sequences of outbox %s; check whether "
                "a second device runs on a copy of this state folder; unacknowledged receipts are "
                "sent again under a new outbox id",
                self._config.device_id,
                acknowledgement.outbox_id,
            )
            self._window = self._new_window()

    def _new_window(self) -> SendWindow:
        marks = self._outbox.marks()
        return SendWindow(
            acknowledged=marks.acknowledged,
            last=marks.last,
            batch_limit=self._config.batch_limit,
            resend_after_s=self._config.resend_after_s,
        )

    def _update_host(self, message: Message) -> None:
        try:
            state = read_host_state(message.payload)
        except ValueError as err:
            self._unreadable.add("the host's STATE", "the broker", err)
            return
        before = self._host
        if not state.counts_after(before):
            return  # a late Will of one of the host's earlier connections
        if state.online and state != before and not message.retained:
            self._window.restart()  # the host has just come online and missed earlier messages
        self._host = state

    def _message(self, message_type: str, payload: Proto) -> Message:
        topic = topics.sparkplug(message_type, self._config.device_id)
        return Message(topic, payload.SerializeToString())

    def _publish(self, connection: Connection, message_type: str, payload: Proto) -> None:
        # QoS 0, as Sparkplug requires: lost receipts are resent from the outbox.
        message = self._message(message_type, payload)
        connection.publish(message)
        self._bytes_sent += message.packet_bytes
