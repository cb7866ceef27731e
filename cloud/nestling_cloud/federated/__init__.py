"""Implements the cloud's side of federated learning.

Devices train the parts of the nested student that they hold. The cloud averages the trained
weights, distills the student further on its own data, and releases the student as the next bundle.
This package may import `bundles`, `learning`, `store` and `tasks`. It needs the extra `federated`
(flwr, torch), except for `round_log`, `round_deletion`, `run_config` and `flower_process`, which
the console and the command line use without that extra.
"""

__all__ = ["flower_process", "round_deletion", "round_log", "run_config", "server_app"]
