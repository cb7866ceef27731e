"""Routing rules that device, cloud and simulator share.

They decide what a budget admits, read thresholds from a routing curve, and validate a calibration.
"""

__all__ = ["admission", "calibration", "curve"]
