"""Computes the figures of a fleet or a device from the store.

The module `queries` computes the figures, and `views` defines their types. The package only reads
the store. It imports `store`.
"""

__all__ = ["fleet_health", "queries", "views"]
