"""What can go wrong in the simulator, for a caller to catch by its root.

SimError
├── ScenarioError (scenario.py)            a scenario that is not there, or says what cannot be
├── StreamError (streams.py)               too few test inputs for the fleet
├── DriftError (drift.py)                  a drift that a task's inputs cannot have
├── OpenFilesError (open_files.py)         a fleet of more open files than the session allows
├── CloudProcessError (cloud_process.py)   a cloud that did not start, or ended in mid-run
├── NotStartedError (start.py)             a device of a fleet that is being stopped
├── FleetError (live.py)                   a device that failed, or receipts that never arrived
└── ResultsError (results.py)              results that could not be written
"""


class SimError(Exception):
    """Root of the simulator's errors; the text says what to do next."""
