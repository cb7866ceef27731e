"""Predict a student's latency on a board: probe networks to measure there, and a fitted model."""

__all__ = ["family", "measure", "model", "probes", "table"]
