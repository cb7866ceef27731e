"""Fetches bundles over MQTT.

A blob is fetched in small chunks, with one request for each, because the link may be slow.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from nestling import topics
from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_core.network.address import Address
from nestling_device.delivery.bundle_source import (
    DeliveryError,
    SourceUnreachableError,
    checked_chunk,
)
from nestling_device.transport.identity import Identity
from nestling_device.transport.mqtt_connection import BrokerUnreachableError, Connection, Message

_CHUNK_BYTES = 16 * 1024
_ATTEMPTS = 3


class MqttSource:
    """A `BlobSource` that reaches the cloud's delivery service through a broker."""

    def __init__(
        self,
        broker: Address,
        device_id: str,
        *,
        identity: Identity | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Create a source that connects at its first call.

        Args:
            broker: the address of the broker.
            device_id: the name of this device.
            identity: the identity of this device for TLS, or None for a connection without TLS.
            timeout_s: the longest time in seconds to wait for an answer to each attempt. A request
                is sent at most three times.

        Raises:
            ValueError: the device id has characters that an MQTT topic cannot contain.
        """
        self._address = broker
        self._device_id = topics.check_device_id(device_id)
        # Not guessable: the broker closes a connection when another client uses the same id.
        self._client_id = f"{device_id}-delivery-{secrets.token_hex(8)}"
        self._identity = identity
        self._timeout_s = timeout_s
        self._lock = threading.Lock()  # guards `_connection` and `_closed`
        self._connection: Connection | None = None
        # The first id is random, so that an answer to an earlier process is not mistaken for ours.
        self._ids = itertools.count(secrets.randbits(62) + 1)
        self._bytes_received = 0
        self._closed = False

    @property
    def bytes_received(self) -> int:
        return self._bytes_received

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        wanted = delivery_pb2.GetDesiredBundleRequest(
            device_id=self._device_id, active_bundle_version=active_version
        )
        response = self._ask(delivery_pb2.DeliveryRequest(desired_bundle=wanted))
        if response.WhichOneof("response") != "desired_bundle":
            raise DeliveryError("the cloud did not answer with the desired bundle")
        return response.desired_bundle

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        while offset < blob.size:
            wanted = delivery_pb2.FetchBlobRequest(
                sha256=blob.sha256, offset=offset, limit=_CHUNK_BYTES
            )
            response = self._ask(delivery_pb2.DeliveryRequest(blob=wanted))
            data = checked_chunk(response.blob, blob, offset)
            offset += len(data)
            yield data

    def _ask(self, request: delivery_pb2.DeliveryRequest) -> delivery_pb2.DeliveryResponse:
        request.request_id = next(self._ids)
        message = Message(topics.delivery_request(self._device_id), request.SerializeToString())
        try:
            for _ in range(_ATTEMPTS):
                connection = self._connected()
                connection.publish(message, qos=1)
                response = self._answer(connection, request.request_id)
                if response is not None:
                    return _checked(response)
        except BrokerUnreachableError as err:
            self._disconnect()
            raise SourceUnreachableError(
                f"{err}", advice="check that the broker runs and try again"
            ) from err
        raise SourceUnreachableError(
            f"no answer from the cloud over the broker {self._address} in "
            f"{_ATTEMPTS} x {self._timeout_s:g} s",
            advice="check that the cloud runs and try again",
        )

    def _answer(
        self, connection: Connection, request_id: int
    ) -> delivery_pb2.DeliveryResponse | None:
        deadline = time.monotonic() + self._timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            message = connection.receive(left_s)
            if message is None:
                continue
            self._bytes_received += len(message.payload)
            try:
                response = delivery_pb2.DeliveryResponse.FromString(message.payload)
            except DecodeError:
                continue  # wait for a readable answer, or for the deadline
            if response.request_id == request_id:
                return response
        return None

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is not None:
                return self._connection
            closed = self._closed
        if not closed:
            connection = Connection(
                self._address.host,
                self._address.port,
                client_id=self._client_id,
                subscriptions=[topics.delivery_response(self._device_id)],
                identity=self._identity,
            )
            with self._lock:
                if not self._closed:
                    self._connection = connection
                    return connection
            connection.close()  # the source was closed meanwhile
        raise SourceUnreachableError(f"the connection to the broker {self._address} was closed")

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        with self._lock:  # two threads may disconnect at once; only one closes
            held, self._connection = self._connection, None
        if held is not None:
            held.close()


def _checked(response: delivery_pb2.DeliveryResponse) -> delivery_pb2.DeliveryResponse:
    if response.WhichOneof("response") == "error":
        raise DeliveryError(f"the cloud refused: {response.error}")
    return response
