"""The multiplexer's second input: a budget as six numbers around 0 to 1.

Limits are taken as logarithms, because a budget of 2 kB differs from one of 4 kB as 200 kB does
from 400 kB. The cloud fits the multiplexer on this vector and the device feeds it, so there is one
function for both.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nestling.v1 import budget_pb2

BUDGET_FIELDS = ("memory", "latency", "energy", "link", "battery", "offload_share")

# (smallest, largest) value that each logarithm tells apart; beyond them it saturates.
_MEMORY_BYTES = (1e3, 1e7)
_LATENCY_MS = (0.1, 1e4)
_ENERGY_MJ = (0.01, 1e4)
_LINK_MBIT_S = (1e-3, 1e2)


def budget_vector(budget: budget_pb2.Budget) -> NDArray[np.float32]:
    """Scale a budget for the multiplexer.

    Returns:
        float32 of shape (6,), in the order of `BUDGET_FIELDS`, every entry in [0, 1].
    """
    return np.array(
        [
            _log_scale(budget.memory_bytes, *_MEMORY_BYTES),
            _log_scale(budget.latency_ms, *_LATENCY_MS),
            _log_scale(budget.energy_mj, *_ENERGY_MJ),
            _log_scale(budget.link_mbit_s, *_LINK_MBIT_S),
            _clip_share(budget.battery),
            _clip_share(budget.offload_share),
        ],
        np.float32,
    )


def _clip_share(value: float) -> float:
    return min(value, 1.0) if value > 0 else 0.0  # also NaN


def _log_scale(value: float, low: float, high: float) -> float:
    if not value > low:  # also NaN
        return 0.0
    return math.log(min(value, high) / low) / math.log(high / low)
