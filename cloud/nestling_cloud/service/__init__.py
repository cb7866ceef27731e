"""Runs the cloud's services in one process.

`service` starts and stops the services, and `config` defines the configuration. This package may
import any package but `commands`. Within `nestling_cloud`, only `commands` imports it.
"""

__all__ = ["config", "service"]
