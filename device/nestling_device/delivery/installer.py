"""Installs the bundle that the device should run.

The order of the steps makes a kill at any point safe. First all blobs are written and verified,
then the bundle passes its self-test, then one transaction switches to it, and only then are old
blobs deleted.
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
    """A complete bundle that does not reproduce its golden outputs on this device."""


SelfTest = Callable[[bundle_pb2.Manifest, int, BlobStore, Activations], None]
"""Runs capacities 1 to k of a bundle on its golden inputs; raises SelfTestError."""


@dataclass(frozen=True, kw_only=True)
class VerifiedBundle:
    """A bundle that is ready to run: its blobs are on the device and verified.

    Attributes:
        manifest: the bundle's manifest.
        manifest_blob: size and digest of the manifest.
        version: the bundle's name.
        capacity: largest capacity that may run; the blobs of capacities 1 to this one are here.
        activations: activation type of the templates that are here.
    """

    manifest: bundle_pb2.Manifest
    manifest_blob: bundle_pb2.Blob
    version: str
    capacity: int
    activations: Activations


class Installer:
    """Installs bundles into one state folder; not thread-safe."""

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
            state: records the active bundle.
            blobs: store to download into.
            source: where to download from.
            self_test: checks a bundle before the switch.
            activations: activation type of the templates to install.
        """
        self._state = state
        self._blobs = blobs
        self._source = source
        self._self_test = self_test
        self._activations = activations

    def install(self, memory_bytes: int) -> VerifiedBundle:
        """Install the desired bundle, with as many capacities as the budget admits.

        Only missing blobs are downloaded: growing by one capacity fetches one ring and its
        template.

        Args:
            memory_bytes: bytes that a resident capacity may hold.

        Raises:
            SourceUnreachableError: the cloud cannot be reached; `active` returns the bundle that
                can run meanwhile.
            AdmissionError: the release rules refuse the bundle, or not even capacity 1 fits.
            SelfTestError: the new bundle fails its self-test; the old one stays active.
            DeliveryError: blobs are damaged or the disk is full; the old bundle stays active.
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
            manifest_blob=desired.manifest,
            version=desired.bundle_version,
            capacity=capacity,
            activations=self._activations,
        )

    def active(self, memory_bytes: int) -> VerifiedBundle | None:
        """Return the bundle that can run without asking the cloud.

        A damaged ring disables only its capacity and those above it. If only templates with the
        other type of activations are here, because an older program fetched them, they are used
        until the next installation.

        Args:
            memory_bytes: bytes that a resident capacity may hold.

        Returns:
            None before the first installation, and if this program does not know the format of the
            installed manifest; the next installation then replaces the bundle.

        Raises:
            AdmissionError: not even capacity 1 fits.
            DeliveryError: blobs that every capacity needs are damaged; install again.
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
                    manifest_blob=held.manifest,
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
        """Download a blob; resume after interruptions as long as every attempt makes progress."""
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
        """Delete blobs that belong to neither an installed nor an arriving bundle."""
        held = [self._state.active(), self._state.previous()]
        manifests = [*arriving, *(bundle.manifest for bundle in held if bundle)]
        keep = list(manifests)
        for blob in manifests:
            if self._blobs.has(blob):
                keep += self._named(blob)
        self._blobs.remove_except(keep)

    def _named(self, blob: bundle_pb2.Blob) -> list[bundle_pb2.Blob]:
        """List the blobs that a manifest names; none if its format is unknown."""
        try:
            return every_blob(release_rules.parse_manifest(self._blobs.read(blob)))
        except release_rules.UnknownFormatError:
            return []
