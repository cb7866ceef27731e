"""Access control of the console: password, sessions, API tokens, and the middleware.

Imports `console.http` only.
"""
