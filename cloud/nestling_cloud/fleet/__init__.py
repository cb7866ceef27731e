"""Manages who belongs to the fleet: roster, certificates, enrolment, and TLS of every listener.

This package does not depend on bundles, receipts or the console.
"""

__all__ = [
    "addresses",
    "authority",
    "broker_config",
    "certificates",
    "enrolment",
    "listeners",
    "roster",
    "tls",
]
