"""Sends receipts to the cloud: the durable outbox, and the Sparkplug B edge node."""
