"""Decides which devices belong to the fleet and may connect to the cloud.

The package contains the roster of devices, the certificate authority, the enrolment, and the TLS
files of every listener. It may import no other package of `nestling_cloud`.
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
