"""Runs an installed bundle.

The package loads and runs capacities, reads the calibration, applies the budget to the
multiplexer's estimates, and performs the self-test. It imports `delivery`.
"""

__all__ = ["calibration", "loaded_bundle", "multiplexer", "self_test"]
