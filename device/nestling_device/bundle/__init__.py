"""Holds the code that runs an installed bundle.

The code loads and runs capacities, reads the calibration, applies the budget to the multiplexer's
estimates, and performs the self-test. The package imports `delivery`.
"""

__all__ = ["calibration", "loaded_bundle", "multiplexer", "self_test"]
