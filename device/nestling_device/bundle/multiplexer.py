"""The multiplexer on the device: estimates every option's success under the present budget.

The multiplexer's network is part of the graph of the capacity that runs and shares its layers, so
`Nest.run` returns the probability that each option is right. What the budget admits is known
exactly, so it is computed here instead of learned.
"""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest
from nestling_core.nest.bundle_files import memory_needed
from nestling_core.routing.admission import admitted_options, offload_bytes

Floats = NDArray[np.float32]


def success(right: Floats, manifest: Manifest, budget: Budget) -> Floats:
    """Return the probability that each option is right, 0 where the budget does not admit it.

    Args:
        right: (K + 1,), probability that capacity 1 to K and the cloud are right.
        manifest: the bundle's manifest.
        budget: the present budget.

    Returns:
        (K + 1,), for capacity 1 to K and the cloud.
    """
    size = offload_bytes(manifest.signature.shape)
    admitted = admitted_options(memory_needed(manifest), size, budget)
    # NaN becomes 0, because the cloud refuses receipts with a value that is not a number.
    probabilities: Floats = np.where(admitted, np.nan_to_num(right, nan=0.0), np.float32(0))
    return probabilities
