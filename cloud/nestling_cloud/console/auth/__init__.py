"""Protects the console with a password, sessions, API tokens and a middleware that checks requests.

Within the console, this package may import only `console.http`.
"""

__all__ = ["access", "guard", "login", "password", "sessions", "throttle", "tokens"]
