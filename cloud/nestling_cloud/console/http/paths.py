"""Defines the URL paths that several parts of the console use."""

API = "/api/"
HEALTH = "/healthz"
ICON = "/favicon.ico"
LOGIN = "/login"
STYLE = "/login.css"
