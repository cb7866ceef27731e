"""Federated learning: devices train their prefix of the nest, the cloud releases the result.

Needs the extra `federated` (flwr, torch). Only `round_log`, `run_config` and `flower_process` work
without it; the console and the command line use them to show rounds and start Flower's programs.
"""

__all__ = ["flower_process", "round_log", "run_config", "server_app"]
