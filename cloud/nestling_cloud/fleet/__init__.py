"""Who belongs to the fleet: the roster, certificates, enrolment, and the TLS of every listener.

Nothing here knows bundles, receipts or the console.
"""
