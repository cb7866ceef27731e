"""Latencies counted in bins that grow by 10 %, so that percentiles of any time can be told. Pure.

Bin n from 1 on holds what is at least 0.01 ms · 1.1^(n - 1) and less than 1.1 times that; bin 0 is
below all of them, the last bin has no end. A percentile is the geometric middle of the bin that the
nearest-rank percentile of the values lies in, so it is off by at most the root of 1.1, 4.9 %,
wherever that value is between 0.01 ms and 9.6 · 10^6 ms.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping

RATIO = 1.1
LOWEST_MS = 0.01
LAST_BIN = 218  # from 9.6 · 10^6 ms on, nearly three hours
# Times this, a percentile may be off.
ERROR = math.sqrt(RATIO)

_PER_LOG = 1 / math.log(RATIO)
_LOG_LOWEST = math.log(LOWEST_MS)
_ENTRY = struct.Struct("<BQ")

Histogram = Mapping[int, int]


def bin_of(latency_ms: float) -> int:
    """Bin of a latency."""
    if latency_ms < LOWEST_MS:
        return 0
    return min(1 + int((math.log(latency_ms) - _LOG_LOWEST) * _PER_LOG), LAST_BIN)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """Add histograms up."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return total


def percentile(histogram: Histogram, share: float) -> float:
    """Latency that a share of the values does not exceed, in milliseconds; 0 without any.

    Args:
        histogram: values by bin.
        share: above 0, up to 1; 0.95 for the 95th percentile.
    """
    rank = math.ceil(share * sum(histogram.values()))
    passed = 0
    for number in sorted(histogram):
        passed += histogram[number]
        if passed >= rank:
            return _middle_ms(number)
    return 0.0


def encode(histogram: Histogram) -> bytes:
    """Bytes of a histogram: a bin number and a count, for each bin that holds something."""
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(histogram.items()))


def decode(data: bytes) -> dict[int, int]:
    """Histogram of its bytes."""
    return dict(_ENTRY.iter_unpack(data))


def _middle_ms(number: int) -> float:
    return LOWEST_MS * float(RATIO ** (number - 0.5)) if number else LOWEST_MS
