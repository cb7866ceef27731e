"""A device that learns: the client's side of a federated round, and the only part that needs torch.

Optional: `pip install 'nestling[federated]'`. Nothing else of the device imports it.
"""
