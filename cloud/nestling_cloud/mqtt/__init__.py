"""Runs the MQTT broker as a child process, and provides clients that reconnect to it.

Imports `fleet` for certificates and access rules.
"""

__all__ = ["broker_process", "client", "parent_death"]
