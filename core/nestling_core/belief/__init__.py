"""Tracks what a device believes about the class of the current input of a stream.

Neighboring inputs of a stream often have the same class. The package filters the student's outputs
and the cloud's answers over time, and learns from the cloud's answers to correct the filter's
confidence. Its functions are pure. The package imports no other package of Nestling.
"""

__all__ = ["belief_filter", "evidence", "reliability"]
