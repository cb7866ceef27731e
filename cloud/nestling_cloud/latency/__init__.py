"""Predicts a student's latency on a board.

A board measures the latencies of other networks (the probes), and a model is fitted to these
latencies. This package may import `bundles` and `learning`, but nothing that serves devices.
"""

__all__ = ["family", "measure", "model", "probes", "table"]
