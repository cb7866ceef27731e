"""Measures the latency of the benchmark's networks in float32 and in int8.

The networks of a nest are timed alternately in one run.
"""

from collections.abc import Sequence

from benchmarks.learning.cells import Content
from benchmarks.learning.rounding import as_bytes, open_capacities
from nestling_cloud.latency.measure import medians_us
from nestling_cloud.tasks import Task
from nestling_core.execution.session import open_session

# Latencies (float32, int8) of each capacity, smallest first, in microseconds.
Latencies = Sequence[tuple[float, float]]

_SECONDS = 2.0


def measure_latencies(task: Task, content: Content) -> Latencies:
    """Return the median latency of every capacity of a nest in float32 and in int8.

    Args:
        task: the task.
        content: the cell of the int8 nest.

    Returns:
        A pair (float32, int8) for each capacity, smallest first, in microseconds.
    """
    floats = [open_session(model) for model in as_bytes(content["float_model"])]
    integers = open_capacities(task, as_bytes(content["template"]), as_bytes(content["ring"]))
    times = medians_us([*floats, *integers], seconds=_SECONDS)
    return list(zip(times[: len(floats)], times[len(floats) :], strict=True))
