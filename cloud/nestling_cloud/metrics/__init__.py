"""Computes the figures of a fleet or a device from the store.

The module `queries` computes the figures, and `figures` and `views` define their types. This
package may import `store`, and never writes to the store.
"""

__all__ = ["figures", "fleet_health", "queries", "views"]
