import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nestling.v1 import delivery_pb2
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError, SourceUnreachableError
from nestling_device.delivery.installer import Installer
from nestling_device.runtime.bundle_loader import BundleLoader
from nestling_device.storage.state import State
from tests.support.hand_bundle import MEMORY_BYTES, hand_bundle
from tests.support.memory_source import MemorySource

SMALL, _, LARGE = MEMORY_BYTES


class Cloud(MemorySource):
    """A source that can be unreachable, or slow to name the desired bundle."""

    def __init__(self) -> None:
        super().__init__()
        self.reachable = True
        self.asked = threading.Event()
        self.answering = threading.Event()
        self.answering.set()
        self.publish(1)

    def publish(self, release: int) -> str:
        manifest, blobs = hand_bundle(release)
        return self.release(manifest, dict(blobs)).bundle_version

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        self.asked.set()
        assert self.answering.wait(20)
        if not self.reachable:
            raise SourceUnreachableError("no connection")
        return super().desired_bundle(active_version)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def loader(tmp_path: Path, cloud: Cloud) -> Iterator[BundleLoader]:
    blobs = BlobStore(tmp_path / "blobs")
    with State(tmp_path) as state:
        yield BundleLoader(Installer(state, blobs, cloud, self_test, "uint8"), blobs)


def test_bundle_on_the_disk_is_used_without_a_cloud(loader: BundleLoader, cloud: Cloud) -> None:
    installed = loader.install_or_resume(SMALL)
    cloud.reachable = False

    resumed = loader.install_or_resume(SMALL)

    assert (resumed.version, resumed.held) == (installed.version, 1)


def test_first_start_without_a_cloud_fails(loader: BundleLoader, cloud: Cloud) -> None:
    cloud.reachable = False

    with pytest.raises(SourceUnreachableError):
        loader.install_or_resume(SMALL)


def test_capacities_on_the_disk_are_loaded_without_asking_the_cloud(
    loader: BundleLoader, cloud: Cloud
) -> None:
    loader.install(LARGE)
    cloud.asked.clear()

    assert loader.grow(LARGE, held=1).held == 3
    assert not cloud.asked.is_set()


def test_missing_capacities_are_downloaded_with_the_desired_release(
    loader: BundleLoader, cloud: Cloud
) -> None:
    loader.install(SMALL)
    second = cloud.publish(2)

    grown = loader.grow(LARGE, held=1)

    assert (grown.version, grown.held) == (second, 3)


def test_device_does_not_grow_while_a_release_is_being_installed(
    loader: BundleLoader, cloud: Cloud
) -> None:
    cloud.answering.clear()
    with ThreadPoolExecutor(1) as pool:
        installing = pool.submit(loader.install, LARGE)
        assert cloud.asked.wait(20)
        with pytest.raises(DeliveryError, match="is being installed"):
            loader.grow(LARGE, held=1)
        cloud.answering.set()

        assert installing.result(20).held == 3
    assert loader.grow(LARGE, held=1).held == 3
