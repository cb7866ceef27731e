"""Identifies the machine, reads its free memory and battery, and opens its I2C bus."""
