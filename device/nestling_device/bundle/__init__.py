"""The bundle in use: its runnable capacities, its calibration, and the self-test."""
