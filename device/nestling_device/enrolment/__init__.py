"""Obtains and renews a device's certificate, and finds its cloud."""

__all__ = ["enrol", "renewal", "resolve"]
