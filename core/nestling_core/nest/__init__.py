"""Defines the layout of the nest and the names of a bundle's files, and runs capacities.

The nest is the student's int8 weights, cut into rings. A capacity is one of the student's nested
sizes. The package imports `execution`, `kinds` and the messages in `nestling`.
"""

__all__ = ["bundle_files", "capacity", "layout"]
