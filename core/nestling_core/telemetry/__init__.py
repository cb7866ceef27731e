"""Telemetry rules that device and cloud share: receipt chains, and the host's STATE."""

__all__ = ["host_state", "receipt_chain"]
