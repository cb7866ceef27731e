"""Runs the simulated fleet.

The package holds the devices, which run in threads, their streams of inputs, and links that can be
cut. It may import `scenario`, but neither `run` nor `figures`.
"""

__all__ = ["flower_grid", "live_run", "streams", "wearers"]
