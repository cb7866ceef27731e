"""Parses data from peers and files with one error type, and logs bad data sparingly."""

__all__ = ["text", "throttled_log", "untrusted"]
