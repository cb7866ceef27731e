"""Holds the checks of `nestling-device doctor`, with a module for each group of possible faults.

A check is a function that accepts a `CheckedDevice` and returns a `Finding`, or raises
`FailedCheckError` with a finding. The package may import every other package of the device except
`commands`.
"""

__all__ = ["equipment", "finding", "limits", "machine", "network", "state"]
