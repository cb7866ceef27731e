"""Measure latencies of networks on this machine: many in one run, in turns, each on one thread."""

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
    """Measure the median time of one run of each session on one input.

    Compare figures of the same call only, because the machine's speed changes between calls.

    Args:
        sessions: sessions opened by `nestling_core.execution.session.open_session`: one thread,
            which does not spin.
        seconds: total measuring time for each session.
        rounds: rounds in which the sessions take turns.

    Returns:
        The median of each session, µs.

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
    """Measure the median time of one run of the int8 network at each row of widths.

    Args:
        family: family of the networks.
        rows: for each network, the channels of every block that has a width of its own.
        rng: source of the weights, which do not affect the latency.
        seconds: total measuring time for each network.
        rounds: rounds in which the networks take turns.

    Returns:
        The median of each row, µs.

    Raises:
        SizesError: the family has no student with a row's widths.
    """
    networks = [int8_network(family, row, rng) for row in rows]
    sessions = [open_session(network.template, network.tensors) for network in networks]
    return medians_us(sessions, seconds=seconds, rounds=rounds)
