"""Telemetry from the broker into the store, and the acknowledgements back (Sparkplug B)."""
