"""Contains the console's pages, one module for each, and the elements that they are built from.

Within the console, this package may import `console.charts`, `console.data`, `console.auth` and
`console.http`.
"""

__all__ = ["api", "device", "fleet", "frame", "models", "operating_point", "rounds"]
