"""Implements the device's side of federated learning.

The package is optional (`pip install 'nestling[federated]'`). Of the device's packages, only this
one needs torch. It imports `delivery`, `storage` and `transport`.
"""

__all__ = ["client_app", "examples", "participant"]
