"""Times networks by running each of them repeatedly after a warm-up.

When networks are compared, they take turns, because the load from other programs changes within
seconds. If each network were timed in one go, this load would slow some networks more than others.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime

WARM_UP_RUNS = 10
_INPUTS = 4

# Runs the network once. The argument is the number of the run, from 0, which selects an input.
Network = Callable[[int], object]


class TimingError(ValueError):
    """Raised when a network cannot be timed on random inputs."""


@dataclass(frozen=True, kw_only=True)
class TimedRuns:
    """The times of back-to-back runs of one network.

    Attributes:
        times_ms: the duration of each run in milliseconds, (runs,).
        begun_s: the start of the first run on the monotonic clock, in seconds.
        ended_s: the end of the last run on the same clock, in seconds.
    """

    times_ms: NDArray[np.float64]
    begun_s: float
    ended_s: float


def run_for(network: Network, seconds: float) -> TimedRuns:
    """Run a network repeatedly for a given time, and return the times of the runs.

    `WARM_UP_RUNS` runs come first and are not timed.

    Args:
        network: the function that runs the network.
        seconds: the time after the warm-up during which new runs start. At least one run is timed.
    """
    for number in range(WARM_UP_RUNS):
        network(number)
    times: list[float] = []
    start = end = time.monotonic()
    while end - start < seconds or not times:
        started = time.perf_counter()
        network(len(times))
        times.append(time.perf_counter() - started)
        end = time.monotonic()
    return TimedRuns(times_ms=np.array(times) * 1e3, begun_s=start, ended_s=end)


def in_turns(
    networks: Sequence[Callable[[], Network]], *, seconds: float, rounds: int
) -> Iterator[tuple[int, TimedRuns]]:
    """Yield the times of several networks that take turns in every round.

    Args:
        networks: the functions that open the networks. A function is called at the start of every
            turn of its network, and the network is released after the turn. Only one network is
            therefore in memory at a time.
        seconds: the total time for each network, without the warm-up of each turn.
        rounds: the number of rounds. In each round, every network has one turn, which lasts
            `seconds / rounds`.

    Yields:
        After every turn: the index of the network, and the times of its runs.
    """
    for _ in range(rounds):
        for index, open_network in enumerate(networks):
            yield index, run_for(open_network(), seconds / rounds)


def on_random_inputs(session: "onnxruntime.InferenceSession") -> Network:
    """Return a network that runs the model of a session on random inputs.

    The runs use a few fixed inputs in rotation. An axis without a fixed length gets the length 1.

    Raises:
        TimingError: an input of the model does not consist of 32-bit floats.
    """
    rng = np.random.default_rng(0)
    values = session.get_inputs()
    if any(value.type != "tensor(float)" for value in values):
        raise TimingError("the model has an input that is not of 32-bit floats")
    shapes = {
        value.name: [axis if isinstance(axis, int) else 1 for axis in value.shape]
        for value in values
    }
    inputs = [
        {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
        for _ in range(_INPUTS)
    ]
    return lambda number: session.run(None, inputs[number % _INPUTS])
