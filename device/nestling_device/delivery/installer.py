"""Installs the bundle that the device should run.

The order of the steps makes it safe to kill the process at any point. First all blobs are written
and verified. Then the bundle passes its self-test, and one transaction switches to the bundle. Only
then are old blobs deleted.
"""

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from nestling.v1 import bundle_pb2
from nestling_core.nest.bundle_files import Activations, every_blob
from nestling_device.delivery import release_rules
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import BlobSource, DeliveryError, SourceUnreachableError
from nestling_device.storage.state import BundleRecord, State

_log = logging.getLogger(__name__)


class SelfTestError(DeliveryError):
    """Raised when a complete bundle does not work on this device."""


SelfTest = Callable[[bundle_pb2.Manifest, int, BlobStore, Activations], None]
"""A function that checks capacities 1 to k of a bundle, and raises SelfTestError if one fails.

Its arguments are the manifest, k, the store of the blobs, and the activation type.
"""


@dataclass(frozen=True, kw_only=True)
class VerifiedBundle:
    """A bundle that is ready to run, because its blobs are on the device and verified.

    Attributes:
        manifest: the bundle's manifest.
        version: the bundle's name.
        capacity: the largest capacity that may run. The blobs of capacities 1 to this one are on
            the device.
        activations: the activation type of the templates (ONNX graphs) that are on the device.
    """

    manifest: bundle_pb2.Manifest
    version: str
    capacity: int
    activations: Activations


class Installer:
    """Installs bundles into one state folder.

    Only one thread at a time may use an installer.
    """

    def __init__(
        self,
        state: State,
        blobs: BlobStore,
        source: BlobSource,
        self_test: SelfTest,
        activations: Activations,
    ) -> None:
        """Create an installer.

        Args:
            state: the record of the active bundle.
            blobs: the store to download into.
            source: the source to download from.
            self_test: the function that checks a bundle before the switch.
            activations: the activation type of the templates (ONNX graphs) to install.
        """
        self._state = state
        self._blobs = blobs
        self._source = source
        self._self_test = self_test
        self._activations = activations

    def install(self, memory_bytes: int) -> VerifiedBundle:
        """Install the desired bundle's capacities that the budget admits, and return the bundle.

        Only missing blobs are downloaded. To grow by one capacity, the device fetches one ring (the
        weights that the capacity adds) and one template (the capacity's ONNX graph). After a
        switch, the blobs of the previous bundle are kept, and those of older bundles are deleted.

        Args:
            memory_bytes: the memory that a loaded capacity may occupy, in bytes.

        Raises:
            SourceUnreachableError: the cloud cannot be reached. The old bundle stays active.
            AdmissionError: the release rules refuse the bundle, or not even capacity 1 fits.
            SelfTestError: the new bundle fails its self-test. The old bundle stays active.
            DeliveryError: the cloud refuses, a blob is damaged, or the disk is full. The old bundle
                stays active.
            StorageError: the record of the active bundle cannot be read or written.
        """
        active = self._state.active()
        desired = self._source.desired_bundle(active.version if active else "")
        release_rules.check_offer(desired)
        self._download(desired.manifest)
        manifest = release_rules.parse_manifest(self._blobs.read(desired.manifest))
        floor = self._state.floor(manifest.task)
        release_rules.check_release(manifest, desired, active=active, floor=floor)
        capacity = release_rules.admit(manifest, memory_bytes)

        current = active if active and active.manifest == desired.manifest else None
        if current is None or not self._holds(manifest, capacity, current, self._activations):
            self._remove_stale(desired.manifest)
            for blob in release_rules.needed_blobs(manifest, capacity, self._activations):
                self._download(blob)
            self._self_test(manifest, capacity, self._blobs, self._activations)
            held = BundleRecord(
                manifest=desired.manifest,
                version=desired.bundle_version,
                task=manifest.task,
                release=manifest.release,
                capacity=max(capacity, current.capacity if current else 0),
            )
            self._state.switch(held)
            self._remove_stale()
        return VerifiedBundle(
            manifest=manifest,
            version=desired.bundle_version,
            capacity=capacity,
            activations=self._activations,
        )

    def active(self, memory_bytes: int) -> VerifiedBundle | None:
        """Return the installed bundle, without asking the cloud.

        If a ring (the weights that a capacity adds) or a template (a capacity's ONNX graph) is
        damaged, its capacity and all larger ones are left out. An older version of this program may
        have fetched templates with the other type of activations. If only those are on the device,
        they are used until the next installation.

        Args:
            memory_bytes: the memory that a loaded capacity may occupy, in bytes.

        Returns:
            The bundle, or None before the first installation. The result is also None if this
            program does not know the format of the installed manifest. The next installation then
            replaces the bundle.

        Raises:
            AdmissionError: not even capacity 1 fits.
            DeliveryError: a blob that every capacity needs is damaged. The bundle must be installed
                again.
        """
        held = self._state.active()
        if held is None:
            return None
        try:
            manifest = release_rules.parse_manifest(self._blobs.read(held.manifest))
        except release_rules.UnknownFormatError as err:
            _log.warning("this program cannot run bundle %s: %s", held.version, err)
            return None
        largest = min(release_rules.admit(manifest, memory_bytes), held.capacity)
        kinds = sorted(get_args(Activations), key=lambda kind: kind != self._activations)
        for activations, capacity in itertools.product(kinds, range(largest, 0, -1)):
            if self._holds(manifest, capacity, held, activations):
                return VerifiedBundle(
                    manifest=manifest,
                    version=held.version,
                    capacity=capacity,
                    activations=activations,
                )
        raise DeliveryError(
            f"bundle {held.version} is damaged on this device", advice="install it again"
        )

    def _holds(
        self,
        manifest: bundle_pb2.Manifest,
        capacity: int,
        held: BundleRecord,
        activations: Activations,
    ) -> bool:
        needed = release_rules.needed_blobs(manifest, capacity, activations)
        return capacity <= held.capacity and all(self._blobs.has(blob) for blob in needed)

    def _download(self, blob: bundle_pb2.Blob) -> None:
        """Download a blob, and resume after interruptions.

        Raise SourceUnreachableError if an attempt makes no progress.
        """
        while True:
            before = self._blobs.received(blob)
            try:
                self._blobs.download(self._source, blob)
            except SourceUnreachableError:
                if self._blobs.received(blob) <= before:
                    raise
            else:
                return

    def _remove_stale(self, *arriving: bundle_pb2.Blob) -> None:
        """Delete the blobs of all bundles except the active, the previous and the arriving ones.

        `arriving` contains the manifests of the arriving bundles.
        """
        held = [self._state.active(), self._state.previous()]
        manifests = [*arriving, *(bundle.manifest for bundle in held if bundle)]
        keep = list(manifests)
        for blob in manifests:
            if self._blobs.has(blob):
                keep += self._named(blob)
        self._blobs.remove_except(keep)

    def _named(self, blob: bundle_pb2.Blob) -> list[bundle_pb2.Blob]:
        """Return the blobs that a manifest names, or an empty list if its format is unknown."""
        try:
            return every_blob(release_rules.parse_manifest(self._blobs.read(blob)))
        except release_rules.UnknownFormatError:
            return []
