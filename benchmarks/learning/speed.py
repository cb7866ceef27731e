"""Latency of the benchmark's networks: float32 against int8, in turns in one run."""

from collections.abc import Mapping

from benchmarks.learning.cells import Content
from benchmarks.learning.rounding import as_bytes
from nestling_cloud.latency.measure import medians_us
from nestling_cloud.tasks import Task
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble
from nestling_core.student.plan import layout

# Microseconds of (float32, int8) by the network's name.
Speeds = Mapping[str, tuple[float, float]]

_SECONDS = 2.0


def speeds(task: Task, content: Content) -> Speeds:
    """Time every capacity of a task's nest, from the cell of its rounding."""
    tensors = layout(task.signature, task.student)
    rings = as_bytes(content["ring"])
    stores = [assemble(tensors, rings[:capacity]) for capacity in range(1, len(rings) + 1)]
    floats = [open_session(model) for model in as_bytes(content["float_model"])]
    integers = [
        open_session(template, store)
        for template, store in zip(as_bytes(content["template"]), stores, strict=True)
    ]
    times = medians_us([*floats, *integers], seconds=_SECONDS)
    pairs = zip(times[: len(rings)], times[len(rings) :], strict=True)
    return {f"capacity {number}": pair for number, pair in enumerate(pairs, start=1)}
