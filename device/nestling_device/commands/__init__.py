"""The sub-commands of `nestling-device`: one module each, with an `add_parser`.

These modules may import every other room of the device; only `cli` imports them.
"""

__all__ = ["doctor", "enrol", "federated", "profile", "run", "status"]
