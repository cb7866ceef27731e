import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.v1.bundle_pb2 import Blob, Capacity, Manifest
from nestling_core.nest.bundle_files import (
    Activations,
    BlobError,
    blob_of,
    bundle_version,
    check_blob,
    every_blob,
    is_digest,
    memory_needed,
    rings_and_templates,
    shared_blobs,
    template_of,
)


@pytest.fixture
def manifest() -> Manifest:
    made = Manifest(task="tiny", release=3)
    for name in ("calibration", "golden"):
        getattr(made, name).CopyFrom(blob_of(name.encode()))
    for capacity in (1, 2, 3):
        made.capacities.add(
            ring=blob_of(b"ring %d" % capacity),
            template=blob_of(b"template %d" % capacity),
            template_int8=blob_of(b"signed template %d" % capacity),
            memory_bytes=1000 * capacity,
        )
    return made


@given(st.binary(max_size=200))
def test_bytes_match_their_own_blob(data: bytes) -> None:
    blob = blob_of(data)

    assert hashlib.sha256(data).hexdigest() == blob.sha256
    assert is_digest(blob.sha256)
    assert data == check_blob(blob, data)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_one_flipped_bit_is_detected(data: bytes, choice: st.DataObject) -> None:
    position = choice.draw(st.integers(0, len(data) * 8 - 1))
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8

    with pytest.raises(BlobError, match="another SHA-256"):
        check_blob(blob_of(data), bytes(damaged))


@pytest.mark.parametrize("damaged", [b"123", b"12345", b""])
def test_wrong_size_is_detected_and_reported(damaged: bytes) -> None:
    with pytest.raises(BlobError, match=f"{len(damaged)} bytes instead of 4"):
        check_blob(blob_of(b"1234"), damaged)


@pytest.mark.parametrize(
    "text", ["", "../state.db", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n"]
)
def test_text_that_is_not_a_digest_is_rejected(text: str) -> None:
    assert not is_digest(text)


def test_version_names_task_release_and_manifest(manifest: Manifest) -> None:
    blob = Blob(sha256="0123456789abcdef" * 4, size=1)

    assert bundle_version(manifest, blob) == "tiny-3-01234567"


def test_growing_by_one_capacity_needs_one_ring_and_its_template_more(manifest: Manifest) -> None:
    before = rings_and_templates(manifest, 1, "uint8")
    after = rings_and_templates(manifest, 2, "uint8")

    assert [blob_of(b"ring 1"), blob_of(b"template 1")] == before
    assert [*before, blob_of(b"ring 2"), blob_of(b"template 2")] == after


def test_a_device_with_signed_activations_needs_the_same_rings_and_one_other_template(
    manifest: Manifest,
) -> None:
    needed = rings_and_templates(manifest, 1, "int8")

    assert [blob_of(b"ring 1"), blob_of(b"signed template 1")] == needed


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_older_capacity_has_one_template_whatever_the_activations(activations: Activations) -> None:
    entry = Capacity(template=blob_of(b"only one"))

    assert blob_of(b"only one") == template_of(entry, activations)


def test_every_blob_is_what_all_devices_together_need(manifest: Manifest) -> None:
    needed = [*rings_and_templates(manifest, 3, "uint8"), *rings_and_templates(manifest, 3, "int8")]

    named = [blob.sha256 for blob in every_blob(manifest)]

    assert {blob.sha256 for blob in [*needed, *shared_blobs(manifest)]} == set(named)
    assert len(set(named)) == len(named)


def test_older_manifest_names_no_empty_blob() -> None:
    manifest = Manifest(capacities=[Capacity(template=blob_of(b"t"), ring=blob_of(b"r"))])

    assert [blob_of(b"r"), blob_of(b"t")] == every_blob(manifest)[2:]


def test_shared_blobs_are_calibration_and_golden_inputs(manifest: Manifest) -> None:
    names = (b"calibration", b"golden")

    assert [blob_of(name) for name in names] == shared_blobs(manifest)


def test_memory_needed_is_that_of_each_capacity(manifest: Manifest) -> None:
    assert memory_needed(manifest) == [entry.memory_bytes for entry in manifest.capacities]
