"""Answers one input: on the device or in the cloud.

`agent` turns an input into an answer and a receipt; `policy` holds the pure rules that decide where
an input runs; `offloader` sends inputs to the cloud. Limits, targets, drift detection and costs are
here too. Imports `bundle`, `delivery`, `energy` and `transport`.
"""

__all__ = [
    "agent",
    "backoff",
    "drift",
    "expected_costs",
    "input_errors",
    "limit_notices",
    "limits",
    "offloader",
    "policy",
    "resident_capacity",
    "target_controller",
]
