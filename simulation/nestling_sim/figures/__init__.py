"""Computes the figures of a run.

The package holds the summary, the results that other routers would have had, and the counts of
inputs whose offload was ruled out or failed. It may import `fleet`, `scenario` and `report`, but
not `run`.
"""

__all__ = ["evaluation", "finished_run", "summary"]
