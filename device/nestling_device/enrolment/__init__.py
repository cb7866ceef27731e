"""Obtains and renews a device's certificate, and finds its cloud."""
