"""Holds the services for devices, which are inference, delivery of bundles, and enrolment.

All of them work over gRPC, and delivery also over MQTT. This package may import `bundles`,
`cloud_model`, `fleet`, `mqtt` and `store`.
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
    "unreadable_requests",
]
