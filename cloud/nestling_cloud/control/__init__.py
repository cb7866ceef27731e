"""Operator settings for devices, and their delivery to the devices.

`targets` stores the target offload shares. `pending` decides which settings each device still has
to receive. `commander` sends them, together with the version of the desired bundle.
`offline_sweep` marks removed devices as offline. Imports `store`, `fleet`, `bundles` and
`telemetry`.
"""

__all__ = ["commander", "offline_sweep", "targets"]
