"""How networks are timed: warmed up, run over and over, and in turns where they are compared.

Whatever else a machine does comes and goes within seconds. Networks that are timed one after
another meet different disturbances; in turns, all of them meet the same.
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

# Runs once; given the number of the run, from 0, to choose an input by.
Network = Callable[[int], object]


class TimingError(ValueError):
    """A network that cannot be timed on random inputs."""


@dataclass(frozen=True, kw_only=True)
class TimedRuns:
    """Runs of one network without a pause.

    Attributes:
        times_ms: of every run, (runs,).
        begun_s: on the monotonic clock.
        ended_s: likewise.
    """

    times_ms: NDArray[np.float64]
    begun_s: float
    ended_s: float


def run_for(network: Network, seconds: float) -> TimedRuns:
    """Warm a network up and run it over and over, at least once."""
    for number in range(WARM_UP_RUNS):
        network(number)
    times: list[float] = []
    begun = ended = time.monotonic()
    while ended - begun < seconds or not times:
        started = time.perf_counter()
        network(len(times))
        times.append(time.perf_counter() - started)
        ended = time.monotonic()
    return TimedRuns(times_ms=np.array(times) * 1e3, begun_s=begun, ended_s=ended)


def in_turns(
    networks: Sequence[Callable[[], Network]], *, seconds: float, rounds: int
) -> Iterator[tuple[int, TimedRuns]]:
    """Run every network once in each round.

    Args:
        networks: each is opened again for its turn and let go after it, so that one that is opened
            only then is alone in memory.
        seconds: for each network in all.
        rounds: into which these are divided.

    Yields:
        A network's place and its stretch, after every turn.
    """
    for _ in range(rounds):
        for place, opened in enumerate(networks):
            yield place, run_for(opened(), seconds / rounds)


def on_random_inputs(session: "onnxruntime.InferenceSession") -> Network:
    """A model's session as a network to time; axes of no fixed length are 1.

    Raises:
        TimingError: an input that is not of 32-bit floats.
    """
    rng = np.random.default_rng(0)
    found = session.get_inputs()
    if any(value.type != "tensor(float)" for value in found):
        raise TimingError("it has an input that is not of 32-bit floats")
    shapes = {
        value.name: [axis if isinstance(axis, int) else 1 for axis in value.shape]
        for value in found
    }
    inputs = [
        {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
        for _ in range(_INPUTS)
    ]
    return lambda number: session.run(None, inputs[number % _INPUTS])
