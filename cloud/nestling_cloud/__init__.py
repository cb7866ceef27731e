"""Cloud side of Nestling: train the nested student, release bundles, answer offloaded inputs."""

import os

# With spinning torch threads, training was ten times slower on two busy cores. torch reads the
# variable when it is first imported. A value that the user has set is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
