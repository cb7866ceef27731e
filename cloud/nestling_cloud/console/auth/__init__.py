"""Holds the password, the sessions, the API tokens and the middleware that guard the console.

Of the console's packages, this one may import only `console.http`.
"""

__all__ = ["access", "guard", "login", "password", "sessions", "throttle", "tokens"]
