"""The cloud: learns the nested student, releases bundles, answers what devices offload."""

import os

# Threads of torch that spin while they wait made training ten times slower on two busy cores. It is
# read when torch is first imported. A user's own setting stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
