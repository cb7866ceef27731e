"""Turns one input into an answer, from the device or from the cloud.

`agent` turns an input into an answer and a receipt. `policy` contains the pure rules that decide
where an input runs, and `offloader` sends inputs to the cloud. Other modules deal with limits,
targets, costs, drift and the belief about the stream. Of the device's other packages, this one may
import `bundle`, `delivery`, `energy` and `transport`.
"""

__all__ = [
    "agent",
    "backoff",
    "drift",
    "expected_costs",
    "grpc_offloader",
    "input_check",
    "input_errors",
    "limit_notices",
    "limits",
    "offload_messages",
    "offloader",
    "policy",
    "resident_capacity",
    "stream_belief",
    "stream_state",
    "target_controller",
]
