"""Measures or models the time and energy of answers.

The agent uses a meter from `meter`. Meters are based on `power_tables` (published figures of boards
and links), `measured_costs` (figures measured on this machine) and `sampler` (readings of an
instrument). Of the device's other packages, this one may import `hardware` and `storage`.
"""

__all__ = ["instruments", "measured_costs", "meter", "offload_energy", "power_tables", "sampler"]
