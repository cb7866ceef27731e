"""Turns one input into an answer, from the device or from the cloud.

`agent` turns an input into an answer and a receipt. `resident_capacity` decides which capacities
fit into the budget, and `policy` which inputs stay on the device. `router` applies these rules to
an input, and `offloader` sends inputs to the cloud. `follow_ups` asks the cloud later, and
`field_guarantee` certifies a tolerated risk. Other modules deal with limits, targets, costs and
drift, and with the belief about the stream. Of the device's other packages, this one may import
`bundle`, `delivery`, `energy`, `sources`, `telemetry` and `transport`.
"""

__all__ = [
    "agent",
    "backoff",
    "drift",
    "expected_costs",
    "field_guarantee",
    "follow_ups",
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
