"""Sends receipts to the cloud.

`outbox` is the durable queue of receipts, `publisher` sends them, and `sparkplug_node` builds the
messages of a Sparkplug B edge node. Of the device's other packages, this one may import `storage`
and `transport`.
"""

__all__ = ["outbox", "publisher", "sparkplug_node", "telemetry_config"]
