import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from nestling import topics
from nestling.v1 import bundle_pb2, delivery_pb2, delivery_pb2_grpc
from nestling_cloud.bundles.repository import Repository
from nestling_core.nest.bundle_files import check_blob
from tests.support.cloud_process import Cloud
from tests.support.processes import DEADLINE_S


@pytest.fixture
def ring(released: Path) -> bundle_pb2.Blob:
    """Return a blob of several chunks."""
    return Repository(released).manifest().capacities[1].ring


@pytest.fixture
def stub(cloud_channel: grpc.Channel) -> delivery_pb2_grpc.DeliveryServiceStub:
    return delivery_pb2_grpc.DeliveryServiceStub(cloud_channel)


def fetch(
    stub: delivery_pb2_grpc.DeliveryServiceStub, blob: bundle_pb2.Blob, offset: int, limit: int = 0
) -> list[delivery_pb2.FetchBlobResponse]:
    request = delivery_pb2.FetchBlobRequest(sha256=blob.sha256, offset=offset, limit=limit)
    return list(stub.FetchBlob(request))


def test_blob_is_delivered_in_chunks(
    stub: delivery_pb2_grpc.DeliveryServiceStub, ring: bundle_pb2.Blob
) -> None:
    chunks = fetch(stub, ring, 0)

    check_blob(ring, b"".join(chunk.data for chunk in chunks))
    assert len(chunks) > 1
    assert {chunk.total_size for chunk in chunks} == {ring.size}


def test_broken_download_resumes_at_its_offset(
    stub: delivery_pb2_grpc.DeliveryServiceStub, ring: bundle_pb2.Blob
) -> None:
    first = fetch(stub, ring, 0, limit=70_001)
    held = b"".join(chunk.data for chunk in first)
    assert len(held) == 70_001

    rest = fetch(stub, ring, len(held))

    check_blob(ring, held + b"".join(chunk.data for chunk in rest))
    assert rest[0].offset == 70_001


def test_offset_at_the_end_of_a_blob_yields_one_empty_chunk(
    stub: delivery_pb2_grpc.DeliveryServiceStub, ring: bundle_pb2.Blob
) -> None:
    chunks = fetch(stub, ring, ring.size)

    assert [(chunk.data, chunk.total_size) for chunk in chunks] == [(b"", ring.size)]


@pytest.mark.parametrize(
    ("sha256", "code"), [("0" * 64, "NOT_FOUND"), ("../desired.binpb", "NOT_FOUND")]
)
def test_unknown_blob_is_not_found(
    stub: delivery_pb2_grpc.DeliveryServiceStub, sha256: str, code: str
) -> None:
    with pytest.raises(grpc.RpcError, match=code):
        fetch(stub, bundle_pb2.Blob(sha256=sha256), 0)


def test_offset_beyond_the_end_is_out_of_range(
    stub: delivery_pb2_grpc.DeliveryServiceStub, ring: bundle_pb2.Blob
) -> None:
    with pytest.raises(grpc.RpcError, match="OUT_OF_RANGE"):
        fetch(stub, ring, ring.size + 1)


def test_desired_bundle_names_the_manifest(
    stub: delivery_pb2_grpc.DeliveryServiceStub, released: Path
) -> None:
    desired = stub.GetDesiredBundle(delivery_pb2.GetDesiredBundleRequest(device_id="pi-1"))

    (chunk,) = fetch(stub, desired.manifest, 0)
    manifest = bundle_pb2.Manifest.FromString(check_blob(desired.manifest, chunk.data))
    assert manifest == Repository(released).manifest()


class MqttDevice:
    """A client that sends delivery requests over MQTT."""

    def __init__(self, host: str, port: int, device_id: str) -> None:
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._subscribed: queue.Queue[int] = queue.Queue()
        self._device_id = device_id
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _data, message: self._answers.put(
            bytes(message.payload)
        )
        self._client.on_subscribe = lambda _c, _d, mid, _codes, _props: self._subscribed.put(mid)
        self._client.connect(host, port)
        self._client.loop_start()
        self._client.subscribe(topics.delivery_response(device_id), qos=1)
        self._subscribed.get(timeout=DEADLINE_S)

    def send(self, payload: bytes) -> None:
        topic = topics.delivery_request(self._device_id)
        self._client.publish(topic, payload, qos=1).wait_for_publish(DEADLINE_S)

    def ask(self, **request: Any) -> delivery_pb2.DeliveryResponse:
        self.send(delivery_pb2.DeliveryRequest(**request).SerializeToString())
        answer = self._answers.get(timeout=DEADLINE_S)
        return delivery_pb2.DeliveryResponse.FromString(answer)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def mqtt_device(cloud: Cloud) -> Iterator[MqttDevice]:
    device = MqttDevice(cloud.broker.host, cloud.broker.port, "pi-1")
    yield device
    device.close()


def test_blob_is_delivered_over_mqtt_chunk_by_chunk(
    mqtt_device: MqttDevice, ring: bundle_pb2.Blob
) -> None:
    data, requests = b"", 0
    while len(data) < ring.size:
        requests += 1
        wanted = delivery_pb2.FetchBlobRequest(sha256=ring.sha256, offset=len(data))
        response = mqtt_device.ask(request_id=requests, blob=wanted)
        assert (response.request_id, response.blob.offset) == (requests, len(data))
        data += response.blob.data

    check_blob(ring, data)
    assert requests == -(-ring.size // (16 * 1024))


def test_unreadable_mqtt_request_is_dropped_and_the_next_one_answered(
    mqtt_device: MqttDevice, released: Path
) -> None:
    mqtt_device.send(b"\xff\xff\xff no protobuf")

    assert mqtt_device.ask(request_id=1).error  # an empty request is an error
    desired = delivery_pb2.GetDesiredBundleRequest(device_id="pi-1")
    response = mqtt_device.ask(request_id=2, desired_bundle=desired)
    assert response.desired_bundle == Repository(released).desired()
