"""HTTP concerns of every route: error pages, problem objects, security headers, HEAD, deadlines.

Imports no other room of the console.
"""
