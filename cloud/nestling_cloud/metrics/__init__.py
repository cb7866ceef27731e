"""Figures of a fleet or a device, computed from the store.

`queries` computes them, `views` defines their types. Reads only; imports `store`.
"""

__all__ = ["fleet_health", "queries", "views"]
