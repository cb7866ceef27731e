"""Runs a device: wires its components together, updates its bundle and handles signals.

`device` does the wiring. The `open_*` modules open what the configuration names: meter, instrument
and source.
"""

__all__ = [
    "budget",
    "device",
    "open_instrument",
    "open_meter",
    "open_source",
    "signals",
    "thread_watch",
]
