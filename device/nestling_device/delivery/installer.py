"""Takes a device from the bundle it runs to the one it should run.

The order is what keeps it safe from a kill: first all blobs are on the disk and verified, then the
bundle answers its golden inputs, then one transaction switches, and only then is old stuff removed.
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
    """A bundle that arrived whole and does not answer its golden inputs right."""


SelfTest = Callable[[bundle_pb2.Manifest, int, BlobStore, Activations], None]
"""Runs capacities 1 to k of a bundle on its golden inputs; raises SelfTestError."""


@dataclass(frozen=True, kw_only=True)
class VerifiedBundle:
    """A bundle ready to run: everything that capacities 1 to `capacity` need is here, verified.

    Of the templates these are the ones with `activations`.
    """

    manifest: bundle_pb2.Manifest
    manifest_blob: bundle_pb2.Blob
    version: str
    capacity: int
    activations: Activations


class Installer:
    """Installs bundles into one state folder; for one thread."""

    def __init__(
        self,
        state: State,
        blobs: BlobStore,
        source: BlobSource,
        self_test: SelfTest,
        activations: Activations,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._source = source
        self._self_test = self_test
        self._activations = activations

    def install(self, memory_bytes: int) -> VerifiedBundle:
        """Bring the device to the desired bundle, with as much of it as the budget admits.

        Downloads only what is missing: growing by one capacity fetches one ring and its template.

        Args:
            memory_bytes: bytes that a resident capacity may hold.

        Raises:
            SourceUnreachableError: the cloud is away; `active` says what can run meanwhile.
            AdmissionError: the bundle must not be taken, or not even capacity 1 fits.
            SelfTestError: the new bundle answers wrong; the old one stays active.
            DeliveryError: blobs are damaged or the disk is full; the old one stays active.
        """
        active = self._state.active()
        desired = self._source.desired_bundle(active.version if active else "")
        release_rules.check_offer(desired)
        self._download(desired.manifest)
        manifest = release_rules.parse_manifest(self._blobs.read(desired.manifest))
        floor = self._state.floor(manifest.task)
        release_rules.check_release(manifest, desired, active=active, floor=floor)
        capacity = release_rules.admit(manifest, memory_bytes)

        known = active if active and active.manifest == desired.manifest else None
        if known is None or not self._holds(manifest, capacity, known, self._activations):
            self._remove_stale(desired.manifest)
            for blob in release_rules.needed_blobs(manifest, capacity, self._activations):
                self._download(blob)
            self._self_test(manifest, capacity, self._blobs, self._activations)
            held = BundleRecord(
                manifest=desired.manifest,
                version=desired.bundle_version,
                task=manifest.task,
                release=manifest.release,
                capacity=max(capacity, known.capacity if known else 0),
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
        """Find what can run without asking the cloud, None before the first installation.

        None as well after the program was updated to one that cannot run the bundle held: its
        manifest has another format, and the next installation takes its place.

        A damaged ring costs its capacity and those above it, no more. Templates of the other
        kind, which a program before this one has fetched, serve until the next update.

        Args:
            memory_bytes: bytes that a resident capacity may hold.

        Raises:
            AdmissionError: not even capacity 1 fits.
            DeliveryError: what every capacity needs is damaged; install again.
        """
        held = self._state.active()
        if held is None:
            return None
        try:
            manifest = release_rules.parse_manifest(self._blobs.read(held.manifest))
        except release_rules.UnknownFormatError as err:
            _log.warning("bundle %s is not for this program: %s", held.version, err)
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
        raise DeliveryError(f"bundle {held.version} is damaged on this device; install it again")

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
        """Download, going on after interruptions for as long as every attempt brings something."""
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
        """Remove what belongs to no bundle held or arriving."""
        held = [self._state.active(), self._state.previous()]
        manifests = [*arriving, *(bundle.manifest for bundle in held if bundle)]
        keep = list(manifests)
        for blob in manifests:
            if self._blobs.has(blob):
                keep += self._named(blob)
        self._blobs.remove_except(keep)

    def _named(self, blob: bundle_pb2.Blob) -> list[bundle_pb2.Blob]:
        """What a manifest names; nothing where it is of another program's time."""
        try:
            return every_blob(release_rules.parse_manifest(self._blobs.read(blob)))
        except release_rules.UnknownFormatError:
            return []
