"""Wall-clock time as messages and tables hold it."""

import time


def unix_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
