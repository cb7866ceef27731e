"""Who may use the console: password, sessions, API tokens, and the middleware that enforces them.

Imports `console.http` only.
"""
