"""Installs and loads the bundle of a running device, one installation at a time."""

import logging
import threading
from contextlib import suppress

from nestling_device.bundle.loaded_bundle import LoadedBundle, load_bundle
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.delivery.installer import Installer, VerifiedBundle

_log = logging.getLogger(__name__)


class BundleLoader:
    """Loads the device's bundle from the disk, and installs the parts that are missing there.

    Args:
        installer: the installer of the device's state folder.
        blobs: the store into which the installer downloads.
    """

    def __init__(self, installer: Installer, blobs: BlobStore) -> None:
        self._installer = installer
        self._blobs = blobs
        self._installing = threading.Lock()

    def install(self, memory_bytes: int) -> LoadedBundle:
        """Install the desired bundle's capacities that fit into memory, and load the bundle.

        If another installation is in progress, the method waits until that one has ended.

        Args:
            memory_bytes: the memory budget, in bytes.

        Raises:
            DeliveryError: the bundle cannot be installed.
        """
        with self._installing:
            return load_bundle(self._installer.install(memory_bytes), self._blobs)

    def install_or_resume(self, memory_bytes: int) -> LoadedBundle:
        """Return the desired bundle or, if it cannot be installed, the bundle on the disk.

        Call this only before the other methods, because it does not wait for other installations.

        Args:
            memory_bytes: the memory budget, in bytes.

        Raises:
            DeliveryError: no bundle can be installed, and there is none on the disk that can run.
        """
        return load_bundle(self._install_or_resume(memory_bytes), self._blobs)

    def _install_or_resume(self, memory_bytes: int) -> VerifiedBundle:
        try:
            return self._installer.install(memory_bytes)
        except DeliveryError as err:
            installed = self._installer.active(memory_bytes)
            if installed is None:
                raise
            _log.warning("%s; continuing with bundle %s", err, installed.version)
            return installed

    def grow(self, memory_bytes: int, *, held: int) -> LoadedBundle:
        """Return the bundle with all capacities that the budget admits.

        If the disk does not have more than `held` capacities, the desired bundle is installed.
        Its release may differ from the one in use.

        Args:
            memory_bytes: the memory budget, in bytes.
            held: the largest capacity that the device can already run.

        Raises:
            DeliveryError: the cloud cannot deliver the capacities, or another installation is in
                progress.
        """
        if not self._installing.acquire(blocking=False):
            raise DeliveryError("a new release is being installed")
        try:
            installed = None
            with suppress(DeliveryError):  # damaged on the disk: download it again
                installed = self._installer.active(memory_bytes)
            if installed is None or installed.capacity <= held:
                installed = self._installer.install(memory_bytes)
            return load_bundle(installed, self._blobs)
        finally:
            self._installing.release()
