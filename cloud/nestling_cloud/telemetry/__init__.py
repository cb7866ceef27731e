"""Holds the ingest, which stores and acknowledges the telemetry of the devices.

Telemetry arrives from the broker in the format of Sparkplug B. This package may import `mqtt` and
`store`.
"""

__all__ = ["ingest", "ingest_status"]
