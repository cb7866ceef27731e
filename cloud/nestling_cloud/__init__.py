"""Implements the cloud side of Nestling.

The cloud trains the nested student, a model whose smaller sizes are parts of the larger ones. It
releases the student in bundles and serves these to devices. It also answers the inputs that devices
offload to it.
"""

import os

# With spinning torch threads, training was ten times slower on two busy cores. torch reads the
# variable when it is first imported. A value that the user has set is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
