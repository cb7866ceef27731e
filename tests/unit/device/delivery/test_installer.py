from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling_core.nest.bundle_files import Activations
from nestling_device.delivery.bundle_source import DeliveryError, SourceUnreachableError
from nestling_device.delivery.installer import SelfTestError
from nestling_device.storage.state import State
from tests.support.installing_device import LARGE, MIDDLE, SMALL, Device
from tests.support.memory_source import small_bundle


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with State(tmp_path) as state:
        yield Device(tmp_path, state)


def test_only_admitted_rings_are_fetched(device: Device) -> None:
    manifest = device.release(1)

    installed = device.installer.install(MIDDLE)

    assert (manifest, 2) == (installed.manifest, installed.capacity)
    refused = manifest.capacities[2]
    assert not {refused.ring.sha256, refused.template.sha256} & device.fetched()


def test_growing_by_one_capacity_fetches_one_ring_and_its_template(device: Device) -> None:
    manifest = device.release(1)
    device.installer.install(SMALL)
    device.fetched()

    assert device.installer.install(MIDDLE).capacity == 2

    grown = manifest.capacities[1]
    assert {grown.ring.sha256, grown.template.sha256} == device.fetched()
    assert device.tested == [(1, 1), (1, 2)]


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_only_templates_with_the_devices_activations_are_fetched(
    tmp_path: Path, activations: Activations
) -> None:
    with State(tmp_path) as state:
        device = Device(tmp_path, state, activations)
        manifest = device.release(1)

        installed = device.installer.install(LARGE)

    unsigned = {entry.template.sha256 for entry in manifest.capacities}
    signed = {entry.template_int8.sha256 for entry in manifest.capacities}
    expected, others = (signed, unsigned) if activations == "int8" else (unsigned, signed)
    fetched = device.fetched()
    assert expected <= fetched
    assert not others & fetched
    assert installed.activations == activations


def test_older_bundle_has_one_template_for_every_processor(tmp_path: Path) -> None:
    manifest, blobs = small_bundle()
    for entry in manifest.capacities:
        del blobs[entry.template_int8.sha256]
        entry.ClearField("template_int8")
    with State(tmp_path) as state:
        device = Device(tmp_path, state, "int8")
        device.source.release(manifest, blobs)

        assert device.installer.install(LARGE).capacity == 3

    assert {entry.template.sha256 for entry in manifest.capacities} <= device.fetched()


def test_shrinking_and_growing_back_fetches_nothing(device: Device) -> None:
    device.release(1)
    device.installer.install(LARGE)
    device.fetched()

    assert device.installer.install(SMALL).capacity == 1
    assert device.installer.install(LARGE).capacity == 3
    assert set() == device.fetched()


def test_new_release_replaces_the_old_one_and_keeps_it_as_the_previous(device: Device) -> None:
    old = device.release(1)
    device.installer.install(LARGE)
    device.release(2)

    installed = device.installer.install(LARGE)

    previous = device.state.previous()
    assert installed.version.startswith("small-2-")
    assert previous is not None
    assert previous.release == 1
    assert device.blobs.has(old.golden)


def test_blobs_of_a_bundle_two_releases_old_are_removed(device: Device) -> None:
    oldest = device.release(1)
    for number in (1, 2, 3):
        device.release(number)
        device.installer.install(SMALL)

    assert not device.blobs.has(oldest.golden)


def test_failed_self_test_keeps_the_old_bundle(device: Device) -> None:
    old = device.release(1)
    device.installer.install(LARGE)
    device.failing_release = 2
    device.release(2)

    with pytest.raises(SelfTestError):
        device.installer.install(LARGE)

    active = device.installer.active(LARGE)
    assert active is not None
    assert old == active.manifest
    floor = device.state.floor("small")
    assert floor is not None
    assert floor.release == 1


@pytest.mark.parametrize("damage", ["corrupted", "truncated"])
def test_damaged_ring_is_refused_and_the_old_bundle_kept(device: Device, damage: str) -> None:
    old = device.release(1)
    device.installer.install(LARGE)
    new = device.release(2)
    ring = new.capacities[2].ring.sha256
    data = device.source.blobs[ring]
    device.source.strict = False
    device.source.blobs[ring] = data[::-1] if damage == "corrupted" else data[:-1]

    with pytest.raises(DeliveryError, match="was deleted"):
        device.installer.install(LARGE)

    active = device.installer.active(LARGE)
    assert active is not None
    assert old == active.manifest


def test_interrupted_download_resumes_by_itself(device: Device) -> None:
    device.release(1)
    device.source.break_after = 100

    assert device.installer.install(LARGE).capacity == 3


def test_download_without_progress_is_abandoned(device: Device) -> None:
    device.release(1)
    device.source.break_after = 0

    with pytest.raises(SourceUnreachableError):
        device.installer.install(LARGE)


def test_nothing_is_active_before_the_first_installation(device: Device) -> None:
    assert device.installer.active(LARGE) is None


def test_active_capacity_is_limited_by_the_budget_and_the_installation(device: Device) -> None:
    device.release(1)
    device.installer.install(MIDDLE)

    capacities = [device.installer.active(memory) for memory in (SMALL, MIDDLE, LARGE)]

    assert [installed.capacity for installed in capacities if installed] == [1, 2, 2]


def test_damaged_ring_on_the_disk_disables_only_its_capacity_and_is_repaired(
    device: Device,
) -> None:
    manifest = device.release(1)
    device.installer.install(LARGE)
    ring = manifest.capacities[1].ring.sha256
    (device.folder / ring).write_bytes(b"rust")

    active = device.installer.active(LARGE)
    assert active is not None
    assert active.capacity == 1

    device.fetched()
    assert device.installer.install(LARGE).capacity == 3
    assert {ring} == device.fetched()


def test_bundle_with_a_damaged_shared_blob_does_not_run(device: Device) -> None:
    manifest = device.release(1)
    device.installer.install(LARGE)
    (device.folder / manifest.golden.sha256).unlink()

    with pytest.raises(DeliveryError, match="install it again"):
        device.installer.active(LARGE)


def test_leftovers_of_an_abandoned_download_are_removed(device: Device) -> None:
    device.release(1)
    device.installer.install(SMALL)
    stray = device.folder / ("0" * 64 + ".part")
    stray.write_bytes(b"left over")
    device.release(2)

    device.installer.install(SMALL)

    assert not stray.exists()


def test_repairing_a_small_capacity_forgets_no_larger_one(device: Device) -> None:
    manifest = device.release(1)
    device.installer.install(LARGE)
    (device.folder / manifest.capacities[0].ring.sha256).unlink()

    assert device.installer.install(SMALL).capacity == 1

    active = device.installer.active(LARGE)
    assert active is not None
    assert active.capacity == 3
