"""The simulated fleet: devices in threads, their streams of inputs, and links that can be cut."""

__all__ = ["flower_grid", "live", "streams", "wearers"]
