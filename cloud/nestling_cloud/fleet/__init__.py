"""Manages who belongs to the fleet: roster, certificates, enrolment, and TLS of every listener.

This package does not depend on bundles, receipts or the console.
"""
