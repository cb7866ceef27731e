"""Federated rounds: devices train their prefix of the nest, the cloud makes a release of it.

Needs the extra `federated` (flwr, torch), but for `rounds`, which whoever shows rounds may import.
"""
