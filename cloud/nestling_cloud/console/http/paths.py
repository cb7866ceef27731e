"""Addresses that several parts of the console name."""

API = "/api/"
HEALTH = "/healthz"
ICON = "/favicon.ico"
LOGIN = "/login"
STYLE = "/login.css"
