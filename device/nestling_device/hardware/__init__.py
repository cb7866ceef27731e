"""The machine: which one it is, what it has left, and its I2C bus."""
