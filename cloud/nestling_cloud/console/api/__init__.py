"""Contains the routes, parameters and response schemas of the REST API.

Within the console, this package may import `console.data`, `console.http` and `console.auth`, but
not `console.pages`.
"""

__all__ = ["input_schemas", "not_found", "openapi", "routes"]
