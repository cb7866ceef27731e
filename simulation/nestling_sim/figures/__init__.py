"""Computes the figures of a run.

The figures are the summary, the results that other routers would have had, the numbers of inputs
whose offload was ruled out or failed, the numbers of inputs that were sent to the cloud later, and
what one device did over time. The package may import `fleet`, `scenario` and `report`, but not
`run`.
"""

__all__ = [
    "cloud_alone",
    "evaluation",
    "finished_run",
    "follow_ups",
    "routing_entry",
    "summary",
    "timeline",
]
