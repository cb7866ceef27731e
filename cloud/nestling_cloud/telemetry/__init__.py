"""Receives telemetry (Sparkplug B) from the broker, stores it, and acknowledges it."""

__all__ = ["ingest", "ingest_status"]
