"""Computes how likely each option is to answer correctly within the current budget.

An option is a capacity of the student, or the cloud. The multiplexer's network is part of every
capacity's graph, so `Nest.run` already returns the estimated probability that each option is right.
Whether the budget admits an option is known exactly. This module sets the probability to 0 for the
options that are not admitted.
"""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest
from nestling_core.nest.bundle_files import memory_needed
from nestling_core.routing.admission import admitted_options

Floats = NDArray[np.float32]


def success(
    right: Floats, manifest: Manifest, budget: Budget, *, offload_size_bytes: int
) -> Floats:
    """Return the probability that each option is right, or 0 for options beyond the budget.

    Args:
        right: the probability that each option is right if it is admitted, (K + 1,). NaN counts
            as 0.
        manifest: the bundle's manifest.
        budget: the current budget.
        offload_size_bytes: the expected number of bytes on the link for one offload.

    Returns:
        The probabilities of capacities 1 to K, then the cloud's, (K + 1,).
    """
    admitted = admitted_options(memory_needed(manifest), offload_size_bytes, budget)
    # NaN becomes 0, because the cloud refuses receipts with a value that is not a number.
    probabilities: Floats = np.where(admitted, np.nan_to_num(right, nan=0.0), np.float32(0))
    return probabilities
