"""Federated rounds: devices train their prefix of the nest, the cloud makes a release of it.

Needs the extra `federated` (flwr, torch), but for `rounds`, `run_config` and `flower`, which serve
those who show rounds or start Flower's programs.
"""
