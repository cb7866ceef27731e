"""Measures the latencies of networks on this machine.

The networks of one call take turns, because the machine's speed changes over time. Each runs on
one thread.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nestling_core.execution.timing import in_turns, on_random_inputs

if TYPE_CHECKING:
    import onnxruntime

_SECONDS = 1.0
_ROUNDS = 10


def medians_us(
    sessions: Sequence["onnxruntime.InferenceSession"],
    *,
    seconds: float = _SECONDS,
    rounds: int = _ROUNDS,
) -> list[float]:
    """Measure the median time that each session takes for one random input.

    Compare only times from the same call, because the machine's speed changes between calls.

    Args:
        sessions: the sessions, opened by `nestling_core.execution.session.open_session`.
        seconds: the total measuring time for each session.
        rounds: the number of rounds in which the sessions take turns.

    Returns:
        The median time of each session, in µs.

    Raises:
        TimingError: a model has an input that is not float32.
    """
    networks = [on_random_inputs(session) for session in sessions]
    times: list[list[float]] = [[] for _ in networks]
    opened = [lambda network=network: network for network in networks]
    for place, stretch in in_turns(opened, seconds=seconds, rounds=rounds):
        times[place].extend(stretch.times_ms)
    return [float(np.median(times_ms)) * 1e3 for times_ms in times]
