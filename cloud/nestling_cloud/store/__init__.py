"""The receipt store in SQLite or PostgreSQL: each receipt once, sums over time, devices.

`store` is the interface. `ledger` recognizes duplicates; `retention` deletes old rows. This
package imports no other room.
"""
