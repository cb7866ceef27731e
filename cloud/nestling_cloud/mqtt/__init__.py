"""Holds the MQTT broker, which runs as a child process, and the clients that connect to it.

This package may import `fleet`, for certificates and access rules.
"""

__all__ = ["broker_process", "client", "parent_death"]
