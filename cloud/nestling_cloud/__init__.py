"""Holds the cloud side of Nestling, which trains and releases bundles and serves them to devices.

A bundle is a release of the nested student, whose smaller sizes are parts of the larger ones. The
cloud also answers the inputs that devices offload to it.
"""

import os

# With spinning torch threads, training was ten times slower on two busy cores. torch reads the
# variable when it is first imported. A value that the user has set is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
