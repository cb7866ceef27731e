"""Obtains and renews a device's certificate, and finds the device's cloud.

The package imports `config`, `transport` and `storage`.
"""

__all__ = ["enrol", "renewal", "resolve"]
