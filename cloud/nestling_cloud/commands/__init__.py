"""The sub-commands of `nestling-cloud`: one module each, with an `add_parser` function.

This package may import every other one; only `cli` imports it.
"""

__all__ = [
    "broker_config",
    "bundle",
    "capacities",
    "console",
    "device",
    "federated",
    "latency",
    "serve",
]
