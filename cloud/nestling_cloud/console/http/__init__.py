"""What all routes share: error pages, problem objects, security headers, HEAD and deadlines.

Imports no other room of the console.
"""
