"""Holds the routing rules that device, cloud and simulator share.

The rules decide what a budget admits, read thresholds from a routing curve, and validate a
calibration. The package imports the messages in `nestling`.
"""

__all__ = ["admission", "calibration", "curve"]
