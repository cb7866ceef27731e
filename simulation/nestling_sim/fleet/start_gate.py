"""How a fleet starts: a few devices at a time, and none answers before all are up.

A hundred that connect, fetch and test their bundles at once would miss the deadlines of their own
connections on a small machine.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nestling_sim.errors import SimError

_AT_ONCE = 8


class NotStartedError(SimError):
    """A device that was not started because the fleet is being stopped."""


class FleetStart:
    """Shared by the threads of a fleet."""

    def __init__(self, devices: int) -> None:
        """Prepare for so many devices."""
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._all_up = threading.Barrier(devices)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Start one device inside; where that fails no other goes on.

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
        """Let nobody start or wait any more; harmless once all are up."""
        self._all_up.abort()
