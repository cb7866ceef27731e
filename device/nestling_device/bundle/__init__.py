"""The bundle in use: its runnable capacities, its calibration, and the self-test."""

__all__ = ["calibration", "loaded_bundle", "multiplexer", "self_test"]
