"""Reads the wall clock in the unit that messages and tables use."""

import time


def unix_ms() -> int:
    """Return the current Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
