"""The multiplexer on the device: its word on an input, under the budget of now.

The network that looks at the input shares the layers of the capacity that runs and lies in its
graph: `Nest.run` tells what every option is good for. What the budget affords is exact, so no
network guesses it.
"""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest
from nestling_core.routing.admission import admitted_options, offload_bytes

Floats = NDArray[np.float32]


def success(right: Floats, manifest: Manifest, budget: Budget) -> Floats:
    """Probability that each option succeeds: to be right, and to be affordable.

    Args:
        right: probability that capacity 1 to K and the cloud are right, (K + 1,).
        manifest: of the bundle.
        budget: of now.
    """
    memory = [entry.memory_bytes for entry in manifest.capacities]
    admitted = admitted_options(memory, offload_bytes(manifest.signature.shape), budget)
    # A receipt must not carry what is no number, or the cloud refuses it: such a word counts as 0.
    found: Floats = np.where(admitted, np.nan_to_num(right, nan=0.0), np.float32(0))
    return found
