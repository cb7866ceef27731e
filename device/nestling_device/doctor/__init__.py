"""Holds the checks of `nestling-device doctor`, with a module for each place where a fault can lie.

A check takes a `CheckedDevice` and returns a `Finding`, or raises `FailedCheckError` with a
finding. The package may import every other package of the device except `commands`.
"""

__all__ = ["equipment", "finding", "limits", "machine", "network", "state"]
