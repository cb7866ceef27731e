"""Runs the simulated fleet, with one thread for each device.

The package also provides the devices' streams of inputs, and network links that can be cut. It may
import `scenario`, but neither `run` nor `figures`.
"""

__all__ = ["flower_grid", "live_run", "streams", "wearers"]
