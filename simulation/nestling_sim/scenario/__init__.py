"""Scenario files: devices, limits, drift, and the conditions that devices meet."""
