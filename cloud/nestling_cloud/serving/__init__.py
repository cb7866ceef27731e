"""Services for devices: inference of offloaded inputs, delivery of bundles, and enrolment.

All are gRPC services; delivery also works over MQTT. Imports `bundles`, `fleet`, `store` and
`cloud_model`.
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
