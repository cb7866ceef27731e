from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_core.nest.bundle_files import MANIFEST_FORMAT, blob_of, bundle_version
from nestling_device.delivery import release_rules
from nestling_device.delivery.release_rules import AdmissionError
from nestling_device.storage.state import ReleaseFloor, State
from tests.support.installing_device import LARGE, SMALL, Device
from tests.support.memory_source import MemorySource, small_bundle


def offer(manifest: bundle_pb2.Manifest) -> delivery_pb2.GetDesiredBundleResponse:
    return MemorySource().release(manifest, {})


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with State(tmp_path) as state:
        yield Device(tmp_path, state)


def test_valid_manifest_is_parsed() -> None:
    manifest, _ = small_bundle()

    assert manifest == release_rules.parse_manifest(manifest.SerializeToString())


def test_unknown_format_is_refused() -> None:
    manifest, _ = small_bundle()
    manifest.format = MANIFEST_FORMAT + 1

    words = f"format {MANIFEST_FORMAT + 1} and this program knows {MANIFEST_FORMAT}"
    with pytest.raises(AdmissionError, match=words):
        release_rules.parse_manifest(manifest.SerializeToString())


def test_bytes_that_are_not_a_manifest_are_refused() -> None:
    with pytest.raises(AdmissionError, match="cannot be read"):
        release_rules.parse_manifest(b"\xff" * 20)


def test_prefixes_that_do_not_nest_are_refused() -> None:
    manifest, _ = small_bundle()
    manifest.tensors[0].prefixes[0].shape[0] = 99

    with pytest.raises(AdmissionError, match="does not nest"):
        release_rules.parse_manifest(manifest.SerializeToString())


def test_capacity_without_prefixes_is_refused() -> None:
    manifest, _ = small_bundle()
    manifest.capacities.add().CopyFrom(manifest.capacities[0])

    with pytest.raises(AdmissionError, match="4 capacities and prefixes for 3"):
        release_rules.parse_manifest(manifest.SerializeToString())


def test_blob_name_that_is_a_path_is_refused() -> None:
    manifest, _ = small_bundle()
    manifest.capacities[0].ring.sha256 = "../state.db"

    with pytest.raises(AdmissionError, match="without a SHA-256"):
        release_rules.parse_manifest(manifest.SerializeToString())


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (bundle_pb2.Blob(), "without a manifest"),
        (bundle_pb2.Blob(sha256=blob_of(b"x").sha256, size=1 << 40), "more than"),
    ],
)
def test_offer_not_worth_downloading_is_refused(blob: bundle_pb2.Blob, message: str) -> None:
    with pytest.raises(AdmissionError, match=message):
        release_rules.check_offer(delivery_pb2.GetDesiredBundleResponse(manifest=blob))


def test_cloud_that_contradicts_its_manifest_is_refused() -> None:
    manifest, _ = small_bundle(3)
    desired = offer(manifest)
    desired.release = 4

    with pytest.raises(AdmissionError, match="but its manifest is that of"):
        release_rules.check_release(manifest, desired, active=None, floor=None)


def test_same_release_is_accepted_again_but_another_bundle_with_its_number_is_not() -> None:
    manifest, _ = small_bundle(3)
    desired = offer(manifest)
    same = ReleaseFloor(release=3, manifest_sha256=desired.manifest.sha256)
    another = ReleaseFloor(release=3, manifest_sha256="0" * 64)

    release_rules.check_release(manifest, desired, active=None, floor=same)
    with pytest.raises(AdmissionError, match="another bundle as release 3"):
        release_rules.check_release(manifest, desired, active=None, floor=another)


def test_version_names_task_and_release() -> None:
    manifest, _ = small_bundle(3)

    assert bundle_version(manifest, offer(manifest).manifest).startswith("small-3-")


def test_release_that_no_file_can_store_is_refused() -> None:
    manifest, _ = small_bundle()
    manifest.release = 2**63

    with pytest.raises(AdmissionError, match="the largest number that a device can store"):
        release_rules.check_release(manifest, offer(manifest), active=None, floor=None)


def test_older_release_is_refused(device: Device) -> None:
    device.release(2)
    device.installer.install(SMALL)
    device.release(1)

    with pytest.raises(AdmissionError, match="release 1 of small is older than 2"):
        device.installer.install(SMALL)


def test_another_task_is_refused(device: Device) -> None:
    device.release(1)
    device.installer.install(SMALL)
    device.release(2, task="other")

    with pytest.raises(AdmissionError, match="separate state folder"):
        device.installer.install(SMALL)


def test_budget_below_the_smallest_capacity_is_refused_before_any_ring(device: Device) -> None:
    device.release(1)

    with pytest.raises(AdmissionError, match="999 bytes admits no capacity"):
        device.installer.install(SMALL - 1)

    assert len(device.fetched()) == 1  # the manifest


def test_bundle_of_another_programs_format_is_replaced_by_the_next_release(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:  # the program that installed it knew another format
        before.setattr("nestling_device.delivery.release_rules.MANIFEST_FORMAT", 1)
        manifest, blobs = small_bundle(1)
        manifest.format = 1
        device.source.release(manifest, blobs)
        device.installer.install(LARGE)
    assert device.installer.active(LARGE) is None

    manifest = device.release(2)
    installed = device.installer.install(LARGE)

    assert installed.manifest == manifest
    assert device.installer.active(LARGE) == installed
