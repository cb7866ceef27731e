"""Implements the checks of `nestling-device doctor`.

A check is a function that takes a `CheckedDevice`. It returns a `Finding`, or raises
`FailedCheckError`, which contains one. The package may import every other package of the device
except `commands` and `federated`.
"""

__all__ = ["equipment", "finding", "limits", "machine", "network", "state"]
