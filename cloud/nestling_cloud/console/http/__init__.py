"""What all routes share: error pages, problem objects, security headers, HEAD and deadlines.

Imports no other room of the console.
"""

__all__ = [
    "error_page",
    "head_requests",
    "paths",
    "problem",
    "request_deadline",
    "security_headers",
]
