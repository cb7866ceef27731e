"""Holds the cloud's process, which runs every service that its configuration names.

`service` starts and stops the services, and `config` defines the configuration. This package may
import any package but `commands`. Within `nestling_cloud`, only `commands` imports it.
"""

__all__ = ["config", "service"]
