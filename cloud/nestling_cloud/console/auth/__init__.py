"""Access control of the console: password, sessions, API tokens, and the middleware.

Imports `console.http` only.
"""

__all__ = ["access", "guard", "login", "password", "sessions", "throttle", "tokens"]
