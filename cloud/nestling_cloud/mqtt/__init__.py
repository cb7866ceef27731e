"""Runs the MQTT broker as a child process, and connects clients to a broker.

This package may import `fleet`, for certificates and access rules.
"""

__all__ = ["broker_process", "client", "parent_death"]
