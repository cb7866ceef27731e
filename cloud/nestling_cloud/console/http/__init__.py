"""Contains the HTTP code that all routes of the console share.

The package builds error pages and problem objects, adds security headers, answers HEAD requests and
closes connections that miss a deadline. It imports no other package of the console.
"""

__all__ = [
    "error_page",
    "head_requests",
    "paths",
    "problem",
    "request_deadline",
    "security_headers",
]
