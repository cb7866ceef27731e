"""The web console and the REST API.

`app` assembles the pages, the API and access control; `server` runs them. Reads figures from
`metrics`, sets targets through `control`, and imports nothing that trains.
"""

__all__ = ["app", "auth", "data", "server"]
