"""What can go wrong in the simulator, for a caller to catch by its root.

SimError
└── ScenarioError (scenario.py)   a scenario that is not there, or that says what cannot be
"""


class SimError(Exception):
    """Root of the simulator's errors; the text says what to do next."""
