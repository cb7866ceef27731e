"""One suite for every blob source: both adapters with the cloud's services, and the fake."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import start_broker
from nestling_core.nest.bundle_files import blob_of
from nestling_core.network.address import Address
from nestling_device.delivery.bundle_source import BlobSource, DeliveryError, SourceUnreachableError
from nestling_device.delivery.grpc_source import GrpcSource
from nestling_device.delivery.mqtt_source import MqttSource
from nestling_sim.fleet.links import CuttableLink
from tests.support.background import background, delivery
from tests.support.memory_source import MemorySource, small_bundle

# Larger than one request of any adapter, and not a multiple of a chunk.
DATA = os.urandom(300_001)
BLOB = blob_of(DATA)
ABSENT = blob_of(b"never released")


class Served(Protocol):
    """A source and the cloud behind it."""

    source: BlobSource

    def add(self, data: bytes) -> None: ...

    def release(
        self, manifest: bundle_pb2.Manifest, blobs: dict[str, bytes]
    ) -> delivery_pb2.GetDesiredBundleResponse: ...


class FakeServed:
    def __init__(self) -> None:
        self.fake = MemorySource()
        self.source: BlobSource = self.fake

    def add(self, data: bytes) -> None:
        self.fake.blobs[blob_of(data).sha256] = data

    def release(
        self, manifest: bundle_pb2.Manifest, blobs: dict[str, bytes]
    ) -> delivery_pb2.GetDesiredBundleResponse:
        return self.fake.release(manifest, blobs)


class RealServed:
    def __init__(self, source: BlobSource, repository: Repository, link: CuttableLink) -> None:
        self.source = source
        self.repository = repository
        self.link = link

    def add(self, data: bytes) -> None:
        self.repository.add(data)

    def release(
        self, manifest: bundle_pb2.Manifest, blobs: dict[str, bytes]
    ) -> delivery_pb2.GetDesiredBundleResponse:
        for data in blobs.values():
            self.repository.add(data)
        return self.repository.release(manifest)


def read(source: BlobSource, blob: bundle_pb2.Blob, offset: int = 0) -> bytes:
    return b"".join(source.fetch(blob, offset))


class BlobSourceContract:
    def test_desired_bundle_is_the_one_released(self, served: Served) -> None:
        released = served.release(*small_bundle(3))

        assert served.source.desired_bundle("") == released
        assert served.source.desired_bundle(released.bundle_version) == released

    def test_missing_release_is_a_refusal_not_an_outage(self, served: Served) -> None:
        with pytest.raises(DeliveryError) as caught:
            served.source.desired_bundle("")

        assert not isinstance(caught.value, SourceUnreachableError)

    def test_blob_arrives_whole(self, served: Served) -> None:
        served.add(DATA)

        assert read(served.source, BLOB) == DATA

    @pytest.mark.parametrize("offset", [1, 16 * 1024, 256 * 1024, len(DATA) - 1, len(DATA)])
    def test_download_resumes_at_any_offset(self, served: Served, offset: int) -> None:
        served.add(DATA)

        assert read(served.source, BLOB, offset) == DATA[offset:]

    def test_absent_blob_is_a_refusal_not_an_outage(self, served: Served) -> None:
        with pytest.raises(DeliveryError) as caught:
            read(served.source, ABSENT)

        assert not isinstance(caught.value, SourceUnreachableError)

    def test_source_works_after_a_refusal(self, served: Served) -> None:
        served.add(DATA)
        with pytest.raises(DeliveryError):
            read(served.source, ABSENT)

        assert read(served.source, BLOB) == DATA

    @pytest.mark.parametrize("stated", [len(DATA) - 1, len(DATA) + 1])
    def test_blob_of_another_size_than_stated_is_rejected(
        self, served: Served, stated: int
    ) -> None:
        served.add(DATA)

        with pytest.raises(DeliveryError):
            read(served.source, bundle_pb2.Blob(sha256=BLOB.sha256, size=stated))

    def test_abandoned_download_does_not_disturb_the_next(self, served: Served) -> None:
        served.add(DATA)
        first = next(iter(served.source.fetch(BLOB, 0)))

        assert DATA.startswith(first)
        assert read(served.source, BLOB) == DATA

    def test_bytes_received_grow_by_little_more_than_the_blob(self, served: Served) -> None:
        served.add(DATA)
        before = served.source.bytes_received
        read(served.source, BLOB)

        grown = served.source.bytes_received - before
        assert len(DATA) <= grown <= 1.01 * len(DATA)

    def test_closing_twice_is_no_error(self, served: Served) -> None:
        served.add(DATA)
        read(served.source, BLOB)

        served.source.close()
        served.source.close()


class TestMemorySource(BlobSourceContract):
    @pytest.fixture
    def served(self) -> Served:
        return FakeServed()


class NetworkSourceContract(BlobSourceContract):
    """Tests for sources whose network link can be cut."""

    def test_closing_ends_a_download_permanently(self, served: RealServed) -> None:
        served.add(DATA)
        pieces = served.source.fetch(BLOB, 0)
        next(pieces)

        served.source.close()

        with pytest.raises(SourceUnreachableError):
            list(pieces)
        with pytest.raises(SourceUnreachableError, match="was closed"):
            read(served.source, BLOB)

    def test_download_resumes_after_the_link_breaks(self, served: RealServed) -> None:
        served.add(DATA)
        pieces = served.source.fetch(BLOB, 0)
        arrived = [next(pieces)]
        served.link.cut()
        with pytest.raises(SourceUnreachableError, match="try again"):
            arrived.extend(pieces)

        served.link.restore()

        begun = b"".join(arrived)
        assert begun + read(served.source, BLOB, len(begun)) == DATA

    def test_unreachable_cloud_is_an_outage_until_the_link_is_restored(
        self, served: RealServed
    ) -> None:
        released = served.release(*small_bundle())
        served.link.cut()
        for _ in range(3):
            with pytest.raises(SourceUnreachableError):
                served.source.desired_bundle("")

        served.link.restore()

        assert served.source.desired_bundle("") == released


class TestGrpcSource(NetworkSourceContract):
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[RealServed]:
        repository = Repository(tmp_path)
        with (
            start_broker() as broker,
            background(lambda: delivery(repository, broker)) as port,
            CuttableLink("grpc", "127.0.0.1", port) as link,
        ):
            source = GrpcSource(link.address, "pi-1")
            yield RealServed(source, repository, link)
            source.close()


class TestMqttSource(NetworkSourceContract):
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[RealServed]:
        repository = Repository(tmp_path)
        with (
            start_broker() as broker,
            background(lambda: delivery(repository, broker)),
            CuttableLink("mqtt", broker.host, broker.port) as link,
        ):
            source = MqttSource(link.address, "pi-1")
            yield RealServed(source, repository, link)
            source.close()


def test_unanswered_mqtt_request_is_an_outage() -> None:
    with start_broker() as broker:
        source = MqttSource(Address.parse(broker.address), "pi-1", timeout_s=0.05)
        with pytest.raises(SourceUnreachableError, match="check that the cloud runs"):
            source.desired_bundle("")
        source.close()


def test_mqtt_device_id_that_would_change_the_topic_is_rejected() -> None:
    with pytest.raises(ValueError, match="device id"):
        MqttSource(Address.parse("127.0.0.1:1883"), "pi/+")
