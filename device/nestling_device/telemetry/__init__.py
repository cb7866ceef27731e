"""Sends receipts to the cloud.

`outbox` is the durable queue of receipts, with the inputs in `pending_inputs` that the cloud is
still to be asked about. `publisher` sends receipts, and `sparkplug_node` builds the messages of a
Sparkplug B edge node. Of the device's other packages, this one may import `storage`
and `transport`.
"""

__all__ = ["outbox", "pending_inputs", "publisher", "sparkplug_node", "telemetry_config"]
