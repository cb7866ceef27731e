"""Holds the web console and the REST API.

The module `app` assembles the pages, the API and the access control, and the module `server` serves
them. The package reads figures from `metrics` and sets targets through `control`. It imports
nothing that trains models.
"""

__all__ = ["app", "auth", "data", "server"]
