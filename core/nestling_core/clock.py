"""Reads the wall clock in milliseconds, the unit used in messages and database tables."""

import time


def unix_ms() -> int:
    """Return the current Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
