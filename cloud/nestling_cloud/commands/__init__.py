"""Contains the sub-commands of `nestling-cloud`, and the flags that several of them share.

Each sub-command is a module. This package may import every other package of the cloud. Only `cli`
imports this package, except that the simulator shares `folder_flags` and `model_flags`.
"""

__all__ = [
    "broker_config",
    "bundle",
    "capacities",
    "console",
    "data",
    "device",
    "federated",
    "folder_flags",
    "inputs",
    "latency",
    "model_flags",
    "serve",
    "task",
]
