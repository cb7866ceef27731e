"""The device's side of federated learning: the only room of the device that needs torch.

It is optional: `pip install 'nestling[federated]'`. The rest of the device runs without it.
"""

__all__ = ["client_app", "examples", "participant"]
