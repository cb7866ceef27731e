"""Times networks on this machine: many in one run, in turns, each on one thread."""

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
    """Median time of one run of each session on one input, in microseconds.

    Only compare figures of one call: another one meets another machine, or another hour of it.

    Args:
        sessions: opened by `nestling_core.execution.session.open_session`: one thread, which does
            not spin.
        seconds: for each session in all.
        rounds: into which these are divided.

    Raises:
        TimingError: a model with an input that is not of 32-bit floats.
    """
    networks = [on_random_inputs(session) for session in sessions]
    times: list[list[float]] = [[] for _ in networks]
    opened = [lambda network=network: network for network in networks]
    for place, stretch in in_turns(opened, seconds=seconds, rounds=rounds):
        times[place].extend(stretch.times_ms)
    return [float(np.median(one)) * 1e3 for one in times]


def widths_us(
    family: Family,
    rows: Sequence[Widths],
    *,
    rng: np.random.Generator,
    seconds: float = _SECONDS,
    rounds: int = _ROUNDS,
) -> list[float]:
    """Median time of the int8 network of each row of widths, in microseconds.

    Args:
        family: whose networks they are.
        rows: channels of every block that has any of its own.
        rng: draws weights, which have no effect on the time.
        seconds: for each row in all.
        rounds: into which these are divided.

    Raises:
        SizesError: the family has no student of a row's widths.
    """
    networks = [int8_network(family, row, rng) for row in rows]
    sessions = [open_session(network.template, network.tensors) for network in networks]
    return medians_us(sessions, seconds=seconds, rounds=rounds)
