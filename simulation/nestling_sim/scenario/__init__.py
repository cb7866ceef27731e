"""Reads scenario files, and computes each device's conditions from them.

The package contains the models of devices, limits, drift (how a sensor's signal differs from the
training data) and conditions (such as little memory or an outage). It may not import `run`,
`figures` or `fleet`.
"""

__all__ = ["conditions", "drift", "limits", "scenario"]
