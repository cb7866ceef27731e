"""The routing rules that device, cloud and simulator apply alike.

What a budget admits, thresholds read off a routing curve, and what a sound calibration looks like.
"""
