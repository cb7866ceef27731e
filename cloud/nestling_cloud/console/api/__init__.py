"""The REST API: its routes, parameters and response schemas.

Imports `console.data`, `console.http` and `console.auth`; never a page.
"""

__all__ = ["openapi", "routes"]
