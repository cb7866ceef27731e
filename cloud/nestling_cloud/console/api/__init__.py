"""The REST API: its routes, parameters and answers.

Imports `console.data`, `console.http` and `console.auth`; never a page.
"""
