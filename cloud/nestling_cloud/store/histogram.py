"""Computes percentiles of latencies over any time range, from histograms that can be added up.

Each bin is 10 % wider than the one before. Bin n, from 1 on, holds latencies from
0.01 ms · 1.1^(n - 1) up to 1.1 times that. Bin 0 holds the latencies below bin 1, and the last bin
has no upper limit. The exact percentile (by nearest rank) lies in one of the bins, and the
geometric mean of that bin's limits is reported. For latencies between 0.01 ms and 9.6 · 10^6 ms,
this is off by a factor of at most the square root of 1.1 (4.9 %). The functions are pure.
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
    """Return a percentile of the latencies in milliseconds, or 0 if the histogram is empty.

    Args:
        histogram: a mapping from the number of a bin to the number of latencies in the bin.
        share: the percentile as a share above 0 and up to 1, such as 0.95 for the 95th.
    """
    rank = math.ceil(share * sum(histogram.values()))
    passed = 0
    for number in sorted(histogram):
        passed += histogram[number]
        if passed >= rank:
            return _middle_ms(number)
    return 0.0


def encode(histogram: Histogram) -> bytes:
    """Return a histogram as bytes.

    Each bin with latencies takes 9 bytes: 1 for the number of the bin, and 8 for its count.
    """
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(histogram.items()))


def decode(data: bytes) -> dict[int, int]:
    """Return the histogram that `encode` turned into bytes."""
    return dict(_ENTRY.iter_unpack(data))


def _middle_ms(number: int) -> float:
    return LOWEST_MS * float(RATIO ** (number - 0.5)) if number else LOWEST_MS
