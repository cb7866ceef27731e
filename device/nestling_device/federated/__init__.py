"""Holds the device's side of federated learning.

The package is optional (`pip install 'nestling[federated]'`). It is the only package of the device
that needs torch, and the rest of the device runs without it. It imports `delivery` and `storage`.
"""

__all__ = ["client_app", "examples", "participant"]
