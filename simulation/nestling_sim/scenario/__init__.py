"""Scenario files: devices, their limits, their drift, and the conditions that they meet."""
