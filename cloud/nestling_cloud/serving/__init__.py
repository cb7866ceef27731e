"""Serves inference, bundles and enrolment to devices.

All of these services work over gRPC; bundles are also delivered over MQTT. This package may import
`bundles`, `cloud_model`, `fleet`, `mqtt` and `store`.
"""

__all__ = [
    "batcher",
    "connection_limiter",
    "delivery",
    "enrolment",
    "inference",
    "listener",
    "mqtt_delivery",
    "peers",
    "recorder",
    "served_models",
    "storage_rule",
    "unreadable_requests",
]
