"""Holds the routes, the parameters and the response schemas of the REST API.

Of the console's packages, this one may import `console.data`, `console.http` and `console.auth`,
but not `console.pages`.
"""

__all__ = ["not_found", "openapi", "routes"]
