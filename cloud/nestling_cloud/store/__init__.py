"""Holds the store for receipts and device reports, in SQLite or PostgreSQL.

A receipt is a device's record of one answer, or of one follow-up: what the cloud answered later.
`store` is the interface, `deduplication` recognizes repeated receipts, `rollups` keeps sums over
time, and `retention` deletes old rows. This package may import no other package of
`nestling_cloud`.
"""

__all__ = [
    "copied_outboxes",
    "database",
    "deletion",
    "delivery",
    "device_registry",
    "hard_inputs",
    "histogram",
    "label",
    "labeled_inputs",
    "newest_receipts",
    "receipt_row",
    "receipt_validation",
    "retention",
    "rollups",
    "store",
    "tables",
    "tally",
    "time_range",
]
