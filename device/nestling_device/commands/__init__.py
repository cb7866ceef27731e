"""Implements the sub-commands of `nestling-device`, each in a module with a function `add_parser`.

These modules may import every other package of the device. Only `cli` imports them.
"""

__all__ = ["doctor", "enrol", "federated", "profile", "run", "status"]
