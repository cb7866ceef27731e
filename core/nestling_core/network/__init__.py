"""Parses and formats host names and addresses, and bypasses proxies."""

__all__ = ["address", "hosts", "proxies"]
