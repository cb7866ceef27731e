"""Decides which devices belong to the fleet and may connect to the cloud.

The package consists of the roster, the certificates, the enrolment, and the TLS files of every
listener. This package may import no other package of `nestling_cloud`.
"""

__all__ = [
    "addresses",
    "authority",
    "broker_config",
    "certificates",
    "enrolment",
    "listeners",
    "member",
    "roster",
    "tls",
]
