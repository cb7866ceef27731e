"""Latency histograms with bins that grow by 10 %, for percentiles over any time range. Pure.

Bin n, from 1 on, holds latencies from 0.01 ms · 1.1^(n - 1) up to 1.1 times that. Bin 0 holds what
is below bin 1; the last bin has no upper end. A percentile is reported as the geometric middle of
the bin that holds the nearest-rank percentile. So it is off by a factor of at most the square root
of 1.1 (4.9 %) for latencies between 0.01 ms and 9.6 · 10^6 ms.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping

RATIO = 1.1
LOWEST_MS = 0.01
LAST_BIN = 218  # from 9.6 · 10^6 ms on, nearly three hours
# The factor by which a percentile may be off.
ERROR = math.sqrt(RATIO)

_PER_LOG = 1 / math.log(RATIO)
_LOG_LOWEST = math.log(LOWEST_MS)
_ENTRY = struct.Struct("<BQ")

Histogram = Mapping[int, int]


def bin_of(latency_ms: float) -> int:
    """Return the number of the bin that a latency falls into."""
    if latency_ms < LOWEST_MS:
        return 0
    return min(1 + int((math.log(latency_ms) - _LOG_LOWEST) * _PER_LOG), LAST_BIN)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """Return the sum of several histograms."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return total


def percentile(histogram: Histogram, share: float) -> float:
    """Return a percentile of the latencies in milliseconds, 0 for an empty histogram.

    Args:
        histogram: counts by bin.
        share: above 0 and up to 1; 0.95 for the 95th percentile.
    """
    rank = math.ceil(share * sum(histogram.values()))
    passed = 0
    for number in sorted(histogram):
        passed += histogram[number]
        if passed >= rank:
            return _middle_ms(number)
    return 0.0


def encode(histogram: Histogram) -> bytes:
    """Encode a histogram as a bin number (1 byte) and a count (8 bytes) for each nonempty bin."""
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(histogram.items()))


def decode(data: bytes) -> dict[int, int]:
    """Decode what `encode` wrote."""
    return dict(_ENTRY.iter_unpack(data))


def _middle_ms(number: int) -> float:
    return LOWEST_MS * float(RATIO ** (number - 0.5)) if number else LOWEST_MS
