"""A device that installs bundles from a source in memory."""

from pathlib import Path

from nestling.v1 import bundle_pb2
from nestling_core.nest.bundle_files import Activations, rings_and_templates
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import Installer, SelfTestError
from nestling_device.storage.state import State
from tests.support.memory_source import CAPACITY_BYTES, MemorySource, small_bundle

SMALL, MIDDLE, LARGE = CAPACITY_BYTES


class Device:
    """An installer with its collaborators, and a self-test that fails for a chosen release."""

    def __init__(self, folder: Path, state: State, activations: Activations = "uint8") -> None:
        self.folder = folder / "blobs"
        self.source = MemorySource()
        self.state = state
        self.blobs = BlobStore(self.folder)
        self.tested: list[tuple[int, int]] = []  # (release, capacity)
        self.failing_release = 0
        self.installer = Installer(state, self.blobs, self.source, self.self_test, activations)

    def self_test(
        self,
        manifest: bundle_pb2.Manifest,
        capacity: int,
        blobs: BlobStore,
        activations: Activations,
    ) -> None:
        for blob in rings_and_templates(manifest, capacity, activations):
            blobs.read(blob)
        self.tested.append((manifest.release, capacity))
        if manifest.release == self.failing_release:
            raise SelfTestError("golden input 0: logits differ")

    def release(self, number: int, *, task: str = "small") -> bundle_pb2.Manifest:
        manifest, blobs = small_bundle(number, task=task)
        self.source.release(manifest, blobs)
        return manifest

    def fetched(self) -> set[str]:
        names = {sha256 for sha256, _ in self.source.fetched}
        self.source.fetched.clear()
        return names
