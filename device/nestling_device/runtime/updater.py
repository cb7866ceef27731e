"""Installs a new release in the background while the device answers inputs.

A separate thread downloads and tests the bundle, and the device switches to it between two inputs.
After a failure, the next attempt waits for some inputs: 1 after the first failure, then twice as
many after each further one, up to 16 (`Backoff`).
"""

import logging
import threading
from collections.abc import Callable

from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.errors import DeviceError
from nestling_device.inference.backoff import Backoff

_log = logging.getLogger(__name__)


class Updater:
    """Installs bundles in the background.

    Only one thread may call `poll`.

    Args:
        install: a function that is called with a memory budget in bytes. It returns the desired
            bundle, loaded, or raises DeviceError.
        name: the part of the thread's name after `update-`.
    """

    def __init__(self, install: Callable[[int], LoadedBundle], name: str) -> None:
        self._install = install
        self._name = f"update-{name}"
        self._thread: threading.Thread | None = None
        self._installed: LoadedBundle | None = None
        self._pause = Backoff()

    def poll(self, *, desired: str, active: str, memory_bytes: int) -> LoadedBundle | None:
        """Return a newly installed bundle, or start an installation if one is due.

        Call this once per input.

        Args:
            desired: the version that the cloud wants on this device, or "" if it is not known.
            active: the version in use.
            memory_bytes: the memory budget of the next input, in bytes.

        Returns:
            The bundle to switch to, or None to keep the active one.
        """
        if self._thread is not None:
            return None if self._thread.is_alive() else self._finish(active)
        if desired in {"", active}:
            self._pause = Backoff()
        elif not self._pause.over:
            self._pause = self._pause.after_input()
        else:
            self._thread = threading.Thread(target=self._run, args=(memory_bytes,), name=self._name)
            self._thread.start()
        return None

    def close(self) -> None:
        """Wait until a running installation has ended.

        To make the installation end soon, first close the source from which it downloads.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, memory_bytes: int) -> None:
        try:
            self._installed = self._install(memory_bytes)
        except DeviceError as err:
            _log.warning("the new release cannot be installed yet: %s", err)
        except Exception:  # noqa: BLE001  whatever the cloud sent, the device has to keep answering
            _log.exception("unexpected error while installing the new release; it will be retried")

    def _finish(self, active: str) -> LoadedBundle | None:
        self.close()
        installed, self._installed = self._installed, None
        # The active version comes back if the cloud announces one release and delivers another.
        if installed is None or installed.version == active:
            self._pause = self._pause.after_failure()
            return None
        self._pause = Backoff()
        return installed
