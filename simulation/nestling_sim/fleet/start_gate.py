"""Starts a fleet a few devices at a time, and lets none answer before all are up.

If a hundred devices connected, fetched and tested their bundles at once, they would miss their
connection deadlines on a small machine.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nestling_sim.errors import SimError

_AT_ONCE = 8


class NotStartedError(SimError):
    """A device that was not started, because the fleet is being stopped."""


class FleetStart:
    """The gate that all threads of a fleet share."""

    def __init__(self, devices: int) -> None:
        """Make a gate for a number of devices."""
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._all_up = threading.Barrier(devices)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Limit how many devices start at once; if one fails inside, no other goes on.

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
        """Stop the start: every device that starts or waits raises. No effect once all are up."""
        self._all_up.abort()
