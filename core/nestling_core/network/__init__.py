"""Parses and formats host names and addresses, and exempts hosts from proxies.

The package imports no other package of Nestling.
"""

__all__ = ["address", "hosts", "proxies"]
