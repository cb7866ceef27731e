"""Renews a device's certificate in the background, long before it expires."""

import logging
import threading
from typing import Self

from nestling_device.enrolment.enrol import renew
from nestling_device.errors import DeviceError
from nestling_device.transport.identity import Identity, utc_now

_CHECK_EVERY_S = 3600.0

_log = logging.getLogger(__name__)


class Renewal:
    """A thread that renews a device's certificate when less than a third of its lifetime is left.

    The thread checks this every hour. A renewal that fails is tried again at the next check.
    """

    def __init__(self, identity: Identity) -> None:
        """Prepare the thread, which runs for the duration of a `with` block."""
        self._identity = identity
        self._stop = threading.Event()
        # A daemon, so that a call to a cloud that hangs does not delay the end of the process.
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._identity.needs_renewal(utc_now()):
                    renew(self._identity)
                    _log.info("this device's certificate is valid until %s", self._identity.ends)
            except DeviceError as err:
                _log.warning(
                    "cannot renew this device's certificate, which expires at %s: %s",
                    self._identity.ends,
                    err,
                )
            self._stop.wait(_CHECK_EVERY_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
