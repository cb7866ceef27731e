"""Computes the energy of a step from the readings of an instrument.

The instrument is read in a background thread.
"""

import logging
import threading
import time
from bisect import bisect_right
from typing import Self

from nestling.v1.receipt_pb2 import Provenance
from nestling_device.energy.instruments.instrument import Instrument, InstrumentError

_log = logging.getLogger(__name__)

# With fewer readings inside a step, the two readings across its ends would dominate the result.
FEWEST_READINGS = 5
_KEEP_S = 120.0
_RETRY_S = 1.0


class PowerLog:
    """Power readings, stored as cumulative energy.

    Each reading is the mean power since the previous one.
    """

    def __init__(self, keep_s: float = _KEEP_S) -> None:
        """Start without readings.

        Args:
            keep_s: the minimum time for which each reading is kept, in seconds.
        """
        self._keep_s = keep_s
        self._at_s: list[float] = []
        self._joules: list[float] = []
        self._watts = 0.0

    def add(self, at_s: float, watts: float) -> None:
        """Add a reading that is later than all others.

        Args:
            at_s: the time of the reading on the monotonic clock.
            watts: the mean power since the previous reading.
        """
        passed_s = at_s - self._at_s[-1] if self._at_s else 0.0
        total = self._joules[-1] if self._joules else 0.0
        self._at_s.append(at_s)
        self._joules.append(total + watts * passed_s)
        self._watts = watts
        if at_s - self._at_s[0] > 2 * self._keep_s:  # seldom, so that most calls delete nothing
            old = bisect_right(self._at_s, at_s - self._keep_s)
            del self._at_s[:old], self._joules[:old]

    def clear(self) -> None:
        """Drop all readings.

        This is called when a reading is missing, because the energy during the gap is not known.
        """
        self._at_s.clear()
        self._joules.clear()

    def joules(self, start_s: float, end_s: float) -> float | None:
        """Return the energy of an interval.

        If the interval ends after the last reading, the power is assumed not to change after that
        reading.

        Args:
            start_s: the start of the interval on the monotonic clock.
            end_s: the end of the interval on the monotonic clock.

        Returns:
            The energy in joules, or None if the interval starts before the first reading or
            contains fewer than FEWEST_READINGS readings.
        """
        if not self._at_s or start_s < self._at_s[0]:
            return None
        inside = bisect_right(self._at_s, end_s) - bisect_right(self._at_s, start_s)
        if inside < FEWEST_READINGS:
            return None
        return self._until(end_s) - self._until(start_s)

    def _until(self, at_s: float) -> float:
        after = bisect_right(self._at_s, at_s)
        if after == len(self._at_s):
            return self._joules[-1] + self._watts * (at_s - self._at_s[-1])
        begin_s, end_s = self._at_s[after - 1], self._at_s[after]
        begin, end = self._joules[after - 1], self._joules[after]
        return begin + (end - begin) * (at_s - begin_s) / (end_s - begin_s)


class Sampler:
    """Reads an instrument in a background thread for the duration of a `with` block.

    If a reading fails, all readings are dropped. The instrument is then read once a second until it
    answers again.
    """

    def __init__(self, instrument: Instrument) -> None:
        """Prepare the thread.

        Args:
            instrument: the instrument, which is closed at the end of the block.
        """
        self._instrument = instrument
        self._log = PowerLog()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter")

    @property
    def provenance(self) -> Provenance.ValueType:
        """How the computed energy is known."""
        return self._instrument.provenance

    @property
    def shortest_s(self) -> float:
        """The shortest interval whose energy can be computed, in seconds."""
        return (FEWEST_READINGS + 1) * self._instrument.period_s

    def joules(self, start_s: float, end_s: float) -> float | None:
        """Return the energy of an interval in joules, or None if it cannot be computed.

        It cannot be computed if the interval contains too few readings, or starts before the first
        reading.

        Args:
            start_s: the start of the interval on the monotonic clock.
            end_s: the end of the interval on the monotonic clock.
        """
        with self._lock:
            return self._log.joules(start_s, end_s)

    def _run(self) -> None:
        period_s = self._instrument.period_s
        while not self._stop.wait(period_s):
            try:
                watts = self._instrument.watts()
            except InstrumentError as err:
                if period_s != _RETRY_S:  # log once per outage
                    _log.warning("the power meter gives no reading: %s", err)
                period_s = _RETRY_S
                with self._lock:
                    self._log.clear()
                continue
            period_s = self._instrument.period_s
            with self._lock:
                self._log.add(time.monotonic(), watts)

    def __enter__(self) -> Self:
        """Start reading the instrument."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread and close the instrument."""
        self._stop.set()
        self._thread.join()
        self._instrument.close()
