"""Contains the routing rules shared by the devices, the cloud and the simulator.

The package decides which options a budget admits, reads thresholds from a routing curve, and
validates a calibration. It imports `wire` and the messages in `nestling`.
"""

__all__ = ["admission", "calibration", "curve"]
