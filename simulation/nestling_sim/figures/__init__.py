"""Computes the figures of a run.

The figures are the summary, the results that other routers would have had, and the counts of inputs
whose offload was ruled out or failed. The package may import `fleet`, `scenario` and `report`, but
not `run`.
"""

__all__ = ["evaluation", "finished_run", "summary"]
