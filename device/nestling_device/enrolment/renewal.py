"""Renews a device's certificate in the background, long before it ends."""

import logging
import threading
from types import TracebackType
from typing import Self

from nestling_device.enrolment.enrol import renew
from nestling_device.errors import DeviceError
from nestling_device.transport.identity import Identity, utc_now

_CHECK_EVERY_S = 3600.0

_log = logging.getLogger(__name__)


class Renewal:
    """A thread that looks at an identity once an hour; what fails is tried again."""

    def __init__(self, identity: Identity) -> None:
        """Prepare; entering the context begins."""
        self._identity = identity
        self._stop = threading.Event()
        # A call to a cloud that hangs must not hold up the end of the device.
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._identity.is_worn(utc_now()):
                    renew(self._identity)
                    _log.info("this device's certificate is good until %s", self._identity.ends)
            except DeviceError as err:
                _log.warning(
                    "cannot renew this device's certificate, which ends at %s: %s",
                    self._identity.ends,
                    err,
                )
            self._stop.wait(_CHECK_EVERY_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
