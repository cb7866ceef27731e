"""The simulator's errors, which all have one root.

SimError
├── ScenarioError (scenario.py)            a scenario that does not exist or has invalid entries
├── StreamError (streams.py)               too few test inputs for the fleet
├── DriftError (drift.py)                  a drift that does not apply to the task's inputs
├── OpenFilesError (open_files.py)         a fleet that needs more open files than allowed
├── CloudProcessError (cloud_process.py)   a cloud that did not start, or ended during the run
├── NotStartedError (start_gate.py)        a device of a fleet that is being stopped
├── FleetError (live.py)                   a device that failed, or receipts that never arrived
└── ResultsError (results.py)              results that could not be written
"""


class SimError(Exception):
    """Root of the simulator's errors; the text says what to do next."""
