"""Holds the code that runs an installed bundle.

It comprises the capacities that can run, the calibration, the multiplexer and the self-test. The
package imports `delivery`.
"""

__all__ = ["calibration", "loaded_bundle", "multiplexer", "self_test"]
