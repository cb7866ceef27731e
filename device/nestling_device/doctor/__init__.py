"""The checks of `nestling-device doctor`, one module for each place where a fault can lie.

A check takes a `CheckedDevice` and returns a `Finding`, or raises `FailedCheckError` with one.
"""

__all__ = ["equipment", "finding", "limits", "machine", "network", "state"]
