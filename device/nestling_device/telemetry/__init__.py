"""Receipts on their way to the cloud: the durable outbox, and the Sparkplug B edge node."""
