"""Scenario files: devices, their limits, their drift, and the conditions that they meet."""

__all__ = ["conditions", "drift", "limits", "scenario"]
