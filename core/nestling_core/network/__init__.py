"""Parses and formats host names and addresses, and bypasses proxies."""
