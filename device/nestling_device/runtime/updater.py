"""Takes up a new release while inputs go on being answered.

Downloading and testing a bundle happen in a thread of its own; the device goes over to it between
two inputs. What fails is tried again after 1, 2, 4, up to 16 inputs, as the policy has it.
"""

import logging
import threading
from collections.abc import Callable

from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.errors import DeviceError
from nestling_device.inference import policy

_log = logging.getLogger(__name__)


class Updater:
    """Installs in the background; `poll` is for one thread.

    Args:
        install: with a memory budget in bytes; returns the desired bundle, opened, or raises
            DeviceError.
        name: for the thread.
    """

    def __init__(self, install: Callable[[int], LoadedBundle], name: str) -> None:
        self._install = install
        self._name = f"update-{name}"
        self._thread: threading.Thread | None = None
        self._found: LoadedBundle | None = None
        self._pause = policy.Backoff()

    def poll(self, *, desired: str, active: str, memory_bytes: int) -> LoadedBundle | None:
        """Ask once for every input.

        Args:
            desired: version that the cloud says should run, "" if it said nothing.
            active: version that runs.
            memory_bytes: budget of now.

        Returns:
            A bundle to go over to, None to go on as before.
        """
        if self._thread is not None:
            return None if self._thread.is_alive() else self._finish(active)
        if desired in {"", active}:
            self._pause = policy.Backoff()
        elif not self._pause.over:
            self._pause = self._pause.after_input()
        else:
            self._thread = threading.Thread(target=self._run, args=(memory_bytes,), name=self._name)
            self._thread.start()
        return None

    def close(self) -> None:
        """Wait for an installation that is under way; whoever closes its source ends it soon."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, memory_bytes: int) -> None:
        try:
            self._found = self._install(memory_bytes)
        except DeviceError as err:
            _log.warning("the new release is not taken up yet: %s", err)
        except Exception:  # noqa: BLE001  whatever the cloud sent, the device goes on answering
            _log.exception("the new release is not taken up: this should not happen")

    def _finish(self, active: str) -> LoadedBundle | None:
        self.close()
        found, self._found = self._found, None
        if (
            found is None or found.version == active
        ):  # the cloud says one thing and delivers another
            self._pause = self._pause.after_failure()
            return None
        self._pause = policy.Backoff()
        return found
