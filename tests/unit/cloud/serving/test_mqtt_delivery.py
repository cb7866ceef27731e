from pathlib import Path

import pytest

from nestling.v1 import delivery_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.serving.mqtt_delivery import CHUNK_BYTES, answer


def ask_for_blob(sha256: str, offset: int = 0, limit: int = 0) -> delivery_pb2.DeliveryRequest:
    wanted = delivery_pb2.FetchBlobRequest(sha256=sha256, offset=offset, limit=limit)
    return delivery_pb2.DeliveryRequest(request_id=9, blob=wanted)


def test_desired_bundle_is_answered(released: Path) -> None:
    repository = Repository(released)
    request = delivery_pb2.DeliveryRequest(
        request_id=5, desired_bundle=delivery_pb2.GetDesiredBundleRequest(device_id="pi-1")
    )

    response = answer(repository, request)

    assert response.request_id == 5
    assert response.desired_bundle == repository.desired()


def test_missing_release_is_reported_as_an_error(tmp_path: Path) -> None:
    request = delivery_pb2.DeliveryRequest(
        desired_bundle=delivery_pb2.GetDesiredBundleRequest(device_id="pi-1")
    )

    assert "no bundle" in answer(Repository(tmp_path), request).error


@pytest.mark.parametrize(("limit", "length"), [(0, CHUNK_BYTES), (10**9, CHUNK_BYTES), (100, 100)])
def test_one_chunk_of_limited_size_is_answered(released: Path, limit: int, length: int) -> None:
    repository = Repository(released)
    ring = repository.manifest().capacities[0].ring

    blob = answer(repository, ask_for_blob(ring.sha256, 1000, limit)).blob

    assert (blob.offset, len(blob.data), blob.total_size) == (1000, length, ring.size)
    assert blob.data == repository.read(ring.sha256, 1000, length)


def test_chunk_at_the_end_of_a_blob_is_empty(released: Path) -> None:
    repository = Repository(released)
    ring = repository.manifest().capacities[0].ring

    blob = answer(repository, ask_for_blob(ring.sha256, ring.size)).blob

    assert (blob.data, blob.total_size) == (b"", ring.size)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ask_for_blob("0" * 64), "no blob"),
        (ask_for_blob("../desired.binpb"), "no blob"),
        (delivery_pb2.DeliveryRequest(request_id=9), "ask for desired_bundle or blob"),
    ],
)
def test_invalid_request_is_reported_as_an_error(
    released: Path, request_: delivery_pb2.DeliveryRequest, message: str
) -> None:
    response = answer(Repository(released), request_)

    assert response.request_id == 9
    assert message in response.error


def test_offset_beyond_the_end_is_reported_as_an_error(released: Path) -> None:
    repository = Repository(released)
    ring = repository.manifest().capacities[0].ring

    assert "is outside it" in answer(repository, ask_for_blob(ring.sha256, ring.size + 1)).error


def test_unreadable_blob_is_reported_as_an_error_and_others_are_delivered(
    released: Path,
) -> None:
    repository = Repository(released)
    first, second = (entry.ring for entry in repository.manifest().capacities[:2])
    (released / "blobs" / first.sha256).unlink()
    (released / "blobs" / first.sha256).mkdir()

    assert "cannot be read" in answer(repository, ask_for_blob(first.sha256)).error
    assert answer(repository, ask_for_blob(second.sha256)).blob.total_size == second.size


def test_unreadable_release_is_reported_as_an_error(released: Path) -> None:
    (released / "desired.binpb").unlink()
    (released / "desired.binpb").mkdir()
    request = delivery_pb2.DeliveryRequest(
        desired_bundle=delivery_pb2.GetDesiredBundleRequest(device_id="pi-1")
    )

    assert "cannot be read" in answer(Repository(released), request).error
