"""What every device has been told, and what it has to be told now. No I/O.

A device that is born anew may be another process than before, so it is told everything again: a
wish that was taken back while it was away as well.
"""

from collections.abc import Mapping
from typing import NamedTuple

from nestling import metrics
from nestling.metrics import MetricValue


class Word(NamedTuple):
    """What a device should know."""

    wished_share: float | None  # None: as the device itself is set
    desired_bundle: str  # "" before the first release


class Briefing:
    """Follows births, and remembers the last word to each device."""

    def __init__(self) -> None:
        self._told: dict[str, Word | None] = {}

    def born(self, device: str) -> None:
        """Take note of a device that knows nothing yet."""
        self._told[device] = None

    def devices(self) -> list[str]:
        """Devices that were ever born."""
        return list(self._told)

    def due(self, device: str, word: Word) -> Mapping[str, MetricValue | None]:
        """Metrics of a command that tells a device what it was not told yet; empty if nothing."""
        told = self._told[device]
        due: dict[str, MetricValue | None] = {}
        if told is None or told.wished_share != word.wished_share:
            due[metrics.OFFLOAD_SHARE] = word.wished_share
        if word.desired_bundle and (told is None or told.desired_bundle != word.desired_bundle):
            due[metrics.DESIRED_BUNDLE] = word.desired_bundle
        return due

    def told(self, device: str, word: Word) -> None:
        """Take note that a device was sent a word.

        One that is offline does not get it, and is born before it could need it.
        """
        self._told[device] = word
