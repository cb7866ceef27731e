"""Reads scenario files, and computes the conditions of each device from them.

The package holds the models of devices, limits, drift (how a sensor's signal differs from the
training data) and conditions (such as little memory or an outage). It may not import `run`,
`figures` or `fleet`.
"""

__all__ = ["conditions", "drift", "limits", "scenario"]
