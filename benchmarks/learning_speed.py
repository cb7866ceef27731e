"""Latency of the benchmark's networks: float32 against int8, in turns in one run."""

from collections.abc import Mapping

from nestling_cloud.latency import medians_us

from learning_rounding import as_bytes
from learning_seed import Found
from nestling.nest import assemble
from nestling.session import open_session
from nestling.student.network import NestedStudent
from nestling.student.plan import layout
from nestling_cloud.quantization import export_capacity
from nestling_cloud.tasks import Task, conv_student

# Microseconds of (float32, int8) by the network's name.
Speeds = Mapping[str, tuple[float, float]]

# A dense student that is large enough for int8 to pay off: see docs/lab-log.md.
SIZED = conv_student(channels=(64, 128, 192, 256), strides=(2, 1, 2, 1))
_SECONDS = 2.0


def speeds(task: Task, found: Found) -> Speeds:
    """Time every capacity of a task's nest, and the student that is sized for int8."""
    tensors = layout(task.signature, task.student)
    rings, templates = as_bytes(found.rounded["ring"]), as_bytes(found.rounded["template"])
    integers = [
        open_session(template, assemble(tensors, rings[:capacity]))
        for capacity, template in enumerate(templates, start=1)
    ]
    floats = [open_session(model) for model in as_bytes(found.rounded["float_model"])]
    names = [f"capacity {capacity}" for capacity in range(1, len(templates) + 1)]
    if len(task.signature.shape) == 3:
        names.append("sized for int8")
        integers.append(_int8(task.signature))
        floats.append(
            open_session(
                export_capacity(
                    NestedStudent(task.signature, SIZED), task.signature, SIZED.capacities
                )
            )
        )
    times = medians_us([*floats, *integers], seconds=_SECONDS)
    return dict(zip(names, zip(times[: len(names)], times[len(names) :], strict=True), strict=True))
