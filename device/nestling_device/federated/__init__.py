"""Implements the device's side of federated learning.

The package is optional (`pip install 'nestling[federated]'`). Of the device's packages, only this
one needs torch. It imports `delivery` and `storage`.
"""

__all__ = ["client_app", "examples", "participant"]
