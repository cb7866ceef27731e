"""A running device: `device` wires the rooms together; updates, signals and the opening of parts.

Everything that the configuration names (meter, instrument, source) is opened here.
"""
