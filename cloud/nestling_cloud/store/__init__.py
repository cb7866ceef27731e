"""The receipt store in SQLite or PostgreSQL: each receipt once, sums over time, devices.

`store` is the interface. `ledger` recognizes duplicates; `retention` deletes old rows. This
package imports no other room.
"""

__all__ = [
    "copied_outboxes",
    "database",
    "device_registry",
    "hard_inputs",
    "histogram",
    "newest_receipts",
    "receipt_row",
    "retention",
    "rollups",
    "store",
    "tables",
    "tally",
    "time_range",
]
