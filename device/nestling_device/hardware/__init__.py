"""Identifies the machine, and reads its memory, its battery and its I2C bus.

Of the device's code, the package imports only `errors`.
"""

__all__ = ["i2c", "machine", "resources"]
