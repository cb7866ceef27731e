"""The receipt store in SQLite or PostgreSQL: every receipt once, sums over time, devices.

`store` is its interface; `ledger` recognises duplicates, `retention` says when what is deleted.
Imports no other room.
"""
