"""Defines the base class of the simulator's errors, and lists its subclasses.

SimError
├── ScenarioError (scenario.py)            the scenario cannot be read or has invalid entries
├── StreamError (streams.py)               there are too few test inputs for the fleet
├── DriftError (drift.py)                  a drift cannot be applied to the task's inputs
├── OpenFilesError (open_files.py)         the fleet needs more open files than allowed
├── CloudProcessError (cloud_process.py)   the cloud did not start, or ended during the run
├── NotStartedError (start_gate.py)        a device is not started because the fleet is stopped
├── FleetError (live_run.py)               a device failed, or no receipt reached the cloud
└── ResultsError (results.py)              the results cannot be written
"""


class SimError(Exception):
    """The base class of the errors that the simulator raises on purpose.

    The text of such an error usually says what to do next.
    """
