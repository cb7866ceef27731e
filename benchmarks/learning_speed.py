"""Latency of the benchmark's networks: float32 against int8, in turns in one run."""

from collections.abc import Mapping

import numpy as np
import torch

from learning_rounding import as_bytes
from learning_seed import Found
from nestling.nest import assemble
from nestling.session import open_session
from nestling.student.network import NestedStudent
from nestling.student.plan import layout
from nestling_cloud.fp32 import export_fp32
from nestling_cloud.latency.family import Family
from nestling_cloud.latency.measure import medians_us
from nestling_cloud.latency.network import int8_network
from nestling_cloud.tasks import Task, conv_student

# Microseconds of (float32, int8) by the network's name.
Speeds = Mapping[str, tuple[float, float]]

# A dense student that is large enough for int8 to pay off: see docs/lab-log.md.
SIZED = conv_student(channels=(64, 128, 192, 256), strides=(2, 1, 2, 1))
SIZED_NAME = "sized for int8"
_SECONDS = 2.0


def speeds(task: Task, found: Found) -> Speeds:
    """Time every capacity of a task's nest, and for pictures the student sized for int8."""
    tensors = layout(task.signature, task.student)
    rings, templates = as_bytes(found.rounded["ring"]), as_bytes(found.rounded["template"])
    models = as_bytes(found.rounded["float_model"])
    stores = [assemble(tensors, rings[:capacity]) for capacity in range(1, len(rings) + 1)]
    names = [f"capacity {capacity}" for capacity in range(1, len(rings) + 1)]
    if len(task.signature.shape) == 3:
        family, rng = Family(signature=task.signature, config=SIZED), np.random.default_rng(0)
        network = int8_network(family, SIZED.whole, rng)
        torch.manual_seed(0)
        student = NestedStudent(task.signature, SIZED).eval()
        names.append(SIZED_NAME)
        models.append(export_fp32(student, task.signature, SIZED.capacities))
        templates.append(network.template)
        stores.append(dict(network.tensors))
    floats = [open_session(model) for model in models]
    integers = [open_session(*pair) for pair in zip(templates, stores, strict=True)]
    times = medians_us([*floats, *integers], seconds=_SECONDS)
    return dict(zip(names, zip(times[: len(names)], times[len(names) :], strict=True), strict=True))
