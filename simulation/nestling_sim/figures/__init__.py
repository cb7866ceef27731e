"""Computes the figures of a run: its summary, other routers' results, and refused offloads."""

__all__ = ["evaluation", "finished_run", "summary"]
