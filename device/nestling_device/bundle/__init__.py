"""The bundle in use: its rings as runnable capacities, its calibration, and the self-test."""
