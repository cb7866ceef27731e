"""Identifies the machine, reads its free memory and battery, and opens its I2C bus."""

__all__ = ["i2c", "machine", "resources"]
