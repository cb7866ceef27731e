"""Runs a simulation from data to report, stage by stage.

The package may import all other packages of the simulator, and is the only one that starts a cloud.
"""

__all__ = ["run"]
