"""Stores the settings that operators choose for devices, and sends them to the devices.

`targets` stores target offload shares, the fractions of their inputs that devices should send to
the cloud. `pending_changes` decides which settings each device still has to receive. `commander`
sends them, together with the version of the desired bundle. `offline_sweep` marks removed devices
as offline. This package may import `bundles`, `fleet`, `store` and `telemetry`.
"""

__all__ = ["commander", "offline_sweep", "targets"]
