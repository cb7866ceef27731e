"""Measures the latencies of networks on this machine.

The networks of one call take turns, and each of them runs on one thread.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nestling_cloud.latency.family import Family
from nestling_cloud.latency.network import int8_network
from nestling_cloud.latency.widths import Widths
from nestling_core.execution.session import open_session
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

    Compare only figures of the same call, because the machine's speed changes between calls.

    Args:
        sessions: sessions opened by `nestling_core.execution.session.open_session`, which have one
            thread that does not busy-wait.
        seconds: the total measuring time for each session.
        rounds: the number of rounds in which the sessions take turns.

    Returns:
        The median of each session, in µs.

    Raises:
        TimingError: a model has an input that is not float32.
    """
    networks = [on_random_inputs(session) for session in sessions]
    times: list[list[float]] = [[] for _ in networks]
    opened = [lambda network=network: network for network in networks]
    for place, stretch in in_turns(opened, seconds=seconds, rounds=rounds):
        times[place].extend(stretch.times_ms)
    return [float(np.median(times_ms)) * 1e3 for times_ms in times]


def widths_us(
    family: Family,
    rows: Sequence[Widths],
    *,
    rng: np.random.Generator,
    seconds: float = _SECONDS,
    rounds: int = _ROUNDS,
) -> list[float]:
    """Measure the median time of one run of an int8 network, for each row of widths.

    Args:
        family: the family of the networks.
        rows: for each network, the number of channels of every block that has its own width, in
            order.
        rng: the source of the random weights, which do not affect the latency.
        seconds: the total measuring time for each network.
        rounds: the number of rounds in which the networks take turns.

    Returns:
        The median of each row, in µs.

    Raises:
        SizesError: the family has no student with a row's widths.
    """
    networks = [int8_network(family, row, rng) for row in rows]
    sessions = [open_session(network.template, network.tensors) for network in networks]
    return medians_us(sessions, seconds=seconds, rounds=rounds)
