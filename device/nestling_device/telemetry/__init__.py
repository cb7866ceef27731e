"""Sends receipts to the cloud: the durable outbox, and the Sparkplug B edge node."""

__all__ = ["outbox", "publisher", "sparkplug_node"]
