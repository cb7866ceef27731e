"""Delivers bundles over MQTT.

Each request that can be decoded gets one response, with at most 16 KiB of a blob (one file of a
bundle).
"""

import asyncio
import logging

import aiomqtt
from google.protobuf.message import DecodeError

from nestling import topics
from nestling.v1 import delivery_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.mqtt.client import BrokerAddress, payload_bytes, stay_connected
from nestling_cloud.serving.delivery import NOTHING_RELEASED, read_chunk
from nestling_core.parsing.throttled_log import ThrottledLog

# Small enough that keep-alive packets get through between two chunks on a slow link.
CHUNK_BYTES = 16 * 1024

_LOG = logging.getLogger(__name__)


class MqttDelivery:
    """Answers delivery requests that arrive over a broker.

    Attributes:
        subscribed: an event that is set after the first subscription to the request topics.

    Args:
        repository: the repository with the releases.
        broker: the address of the broker to which devices publish their requests.
    """

    def __init__(self, repository: Repository, broker: BrokerAddress) -> None:
        self._repository = repository
        self._broker = broker
        self._unreadable = ThrottledLog(_LOG)
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        """Answer requests until cancelled, and reconnect whenever the connection breaks."""
        await stay_connected(self._broker.client, self._serve)

    async def _serve(self, client: aiomqtt.Client) -> None:
        await client.subscribe(topics.DELIVERY_REQUESTS, qos=1)
        self.subscribed.set()
        async for message in client.messages:
            await self._handle(client, message)

    async def _handle(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        device_id = str(message.topic).split("/")[2]
        try:
            topics.check_device_id(device_id)
            request = delivery_pb2.DeliveryRequest.FromString(payload_bytes(message))
        except (ValueError, DecodeError) as err:
            self._unreadable.add("a delivery request", device_id, err)
            return
        response = await asyncio.to_thread(answer, self._repository, request)
        await client.publish(
            topics.delivery_response(device_id), response.SerializeToString(), qos=1
        )


def answer(
    repository: Repository, request: delivery_pb2.DeliveryRequest
) -> delivery_pb2.DeliveryResponse:
    """Return the response to one request.

    If the request cannot be answered, the field `error` of the response says why.

    Args:
        repository: the repository with the releases.
        request: the request for the desired bundle or for a piece of a blob (one file of a bundle).
            If the piece is larger than 16 KiB, the response has only the first 16 KiB.
    """
    response = delivery_pb2.DeliveryResponse(request_id=request.request_id)
    try:
        match request.WhichOneof("request"):
            case "desired_bundle":
                desired = repository.desired()
                if desired is None:
                    response.error = NOTHING_RELEASED
                else:
                    response.desired_bundle.CopyFrom(desired)
            case "blob":
                wanted = request.blob
                limit = min(wanted.limit or CHUNK_BYTES, CHUNK_BYTES)
                chunk = read_chunk(repository, wanted.sha256, wanted.offset, limit)
                response.blob.CopyFrom(chunk)
            case _:
                response.error = "ask for desired_bundle or blob"
    except RepositoryError as err:
        response.error = str(err)
    return response
