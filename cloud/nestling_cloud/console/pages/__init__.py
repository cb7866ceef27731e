"""Holds the console's pages, one module for each, and the elements that they are built from.

Of the console's packages, this one may import `console.charts`, `console.data`, `console.auth` and
`console.http`.
"""

__all__ = ["api", "device", "fleet", "frame", "models", "operating_point", "rounds"]
