"""Runs a device, from opening its components to handling signals.

`device` connects the components, `bundle_loader` installs and loads the bundle, and `updater`
installs new releases in the background. The `open_*` modules open the meter, the instrument and the
source that the configuration names. This package may import every other package of the device
except `commands`, `doctor` and `federated`.
"""

__all__ = [
    "budget",
    "device",
    "device_config",
    "open_instrument",
    "open_meter",
    "open_source",
    "signals",
    "thread_watch",
]
