"""Runs the cloud as one process: `service` starts and stops everything that `config` asks for.

The only package that imports every serving one; only `commands` imports it.
"""

__all__ = ["config", "service"]
