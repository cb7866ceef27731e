"""What every connected device has been told, and what it has to be told now. No I/O.

A device that is born anew may be another process than before, so it is told everything again: a
wish that was taken back while it was away as well.
"""

from typing import NamedTuple

from nestling import metrics
from nestling.metrics import Metric, null_metric
from nestling.sparkplug.v1 import payload_pb2


class Word(NamedTuple):
    """What a device should know."""

    wished_share: float | None  # None: as the device itself is set
    desired_bundle: str  # "" before the first release


class Briefing:
    """Follows births and deaths, and remembers the last word to each device."""

    def __init__(self) -> None:
        self._told: dict[str, Word | None] = {}

    def born(self, device: str) -> None:
        """Take note of a device that knows nothing yet."""
        self._told[device] = None

    def died(self, device: str) -> None:
        """Forget a device that is not connected."""
        self._told.pop(device, None)

    def connected(self) -> list[str]:
        """Devices that can be told something."""
        return list(self._told)

    def due(self, device: str, word: Word, *, now_ms: int) -> list[Metric]:
        """Metrics of a command that tells a device what it has not been told; empty if nothing.

        Args:
            device: who; one that is not connected is told nothing.
            word: what it should know now.
            now_ms: Unix time.
        """
        if device not in self._told:
            return []
        told = self._told[device]
        due: list[Metric] = []
        if told is None or told.wished_share != word.wished_share:
            due.append(_share(word.wished_share, now_ms))
        if word.desired_bundle and (told is None or told.desired_bundle != word.desired_bundle):
            due.append(
                metrics.metric(metrics.DESIRED_BUNDLE, word.desired_bundle, timestamp_ms=now_ms)
            )
        return due

    def told(self, device: str, word: Word) -> None:
        """Take note that a device was sent a word, unless it died meanwhile."""
        if device in self._told:
            self._told[device] = word


def _share(share: float | None, now_ms: int) -> Metric:
    if share is None:
        return null_metric(metrics.OFFLOAD_SHARE, payload_pb2.DATA_TYPE_DOUBLE, timestamp_ms=now_ms)
    return metrics.metric(metrics.OFFLOAD_SHARE, float(share), timestamp_ms=now_ms)
