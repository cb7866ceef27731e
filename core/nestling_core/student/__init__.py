"""Implements the nested student as a torch network, for training in the cloud and on devices.

The package imports `kinds`, `parsing` and the messages in `nestling`. It needs torch, which the
base install does not have. On a device, only `nestling_device.federated` imports this package.
"""

__all__ = [
    "blocks",
    "config",
    "front_end",
    "input_rows",
    "layers",
    "log_mel",
    "losses",
    "messages",
    "network",
    "normalization",
    "normalizer",
    "output_scale",
    "plan",
    "sandwich",
    "weights",
]
