"""The figures of a run: its summary, what other routers would have done, and refused offloads."""
