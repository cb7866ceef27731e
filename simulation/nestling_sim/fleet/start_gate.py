"""Starts the devices of a fleet a few at a time, and lets them answer once all are up.

If a hundred devices connected, fetched and tested their bundles at once, they would miss their
connection deadlines on a small machine.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nestling_sim.errors import SimError

_AT_ONCE = 8


class NotStartedError(SimError):
    """Raised when a device is not started because the fleet is being stopped."""


class FleetStart:
    """Coordinates the start of a fleet, so that no device answers before all devices are up."""

    def __init__(self, devices: int) -> None:
        """Prepare the start of a fleet with the given number of devices."""
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._all_up = threading.Barrier(devices)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until it is a device's turn to start, and keep the turn during the block.

        At most eight devices start at the same time. If the block raises an exception, the start of
        the whole fleet is aborted: all devices that are starting or waiting raise NotStartedError.

        Raises:
            NotStartedError: the fleet is being stopped.
        """
        with self._turns:
            if self._all_up.broken:
                raise NotStartedError("not started")
            try:
                yield
            except BaseException:
                self.abort()
                raise

    def wait_for_all(self) -> None:
        """Wait until every device is up.

        Raises:
            NotStartedError: the fleet is being stopped.
        """
        try:
            self._all_up.wait()
        except threading.BrokenBarrierError as err:
            raise NotStartedError("not started") from err

    def abort(self) -> None:
        """Make every device that is still starting or waiting raise NotStartedError.

        Once all devices are up, this has no effect.
        """
        self._all_up.abort()
