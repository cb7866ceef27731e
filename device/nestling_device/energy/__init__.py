"""Measures or models the time and energy of answers.

`meter` is what the agent uses. It draws on `power_tables` (published figures of boards and links),
`measured_costs` (figures measured on this machine) and `sampler` (readings of an instrument).
"""

__all__ = ["instruments", "measured_costs", "meter", "offload_energy", "power_tables", "sampler"]
