"""Contains the web console and the REST API.

The module `app` combines the pages, the API and the access control into one application, and the
module `server` runs it. The package reads figures from `metrics` and sets target offload shares
through `control`. It imports nothing that trains models.
"""

__all__ = ["api", "app", "auth", "data", "server"]
