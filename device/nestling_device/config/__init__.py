"""Reads and validates the device's configuration.

`schema` lists the settings, and `fields` validates their values. The package imports `energy`.
"""

__all__ = ["fields", "schema"]
