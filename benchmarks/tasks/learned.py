"""Trains the teacher and the nest of a task, and stores what they answer.

The teacher and the nest are two cells, so that a change to the student does not train the teacher
again, and a change to routing trains nothing.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.learning.cells import Cell, Cells, Content
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.learning.check_teacher import prepare_to_serve
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.learning.pipeline import LearnedTask, finish
from nestling_cloud.learning.routing import RoutingData
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.learning.train_teacher import fit_threshold, train_teacher
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import Examples, Splits, Task, concatenate
from nestling_cloud.tasks.inputs import batches_of
from nestling_core.execution.session import open_session
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.of_signature import kind_of
from nestling_core.nest.layout import assemble

_TEACHER_CODE = (
    "benchmarks.tasks.learned",
    "nestling_cloud.learning.input_tensors",
    "nestling_cloud.learning.kind_losses",
    "nestling_cloud.learning.loop",
    "nestling_cloud.learning.muon",
    "nestling_cloud.learning.train_teacher",
    "nestling_cloud.models",
    "nestling_cloud.tasks.augmentation",
    "nestling_cloud.tasks.motion",
    "nestling_cloud.tasks.pictures",
    "nestling_cloud.tasks.sounds",
    "nestling_core.student.normalizer",
    "nestling_core.student.front_end",
)
_NEST_CODE = (
    "nestling_cloud.learning.anomaly_thresholds",
    "nestling_cloud.learning.distillation",
    "nestling_cloud.learning.nesting",
    "nestling_cloud.learning.onnx",
    "nestling_cloud.learning.quantization",
    "nestling_cloud.learning.train_student",
    "nestling_core.kinds",
    "nestling_core.student",
)
_BATCH = 32  # the largest that a teacher is served


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A trained task, by what its teacher and its nest answer.

    Attributes:
        kind: the kind of the task.
        calibration: the outputs for the calibration inputs.
        test: the outputs for the test inputs.
        weights_bytes: the size of each capacity's int8 weights, smallest first.
        teacher_s: the time of the teacher's training.
        student_s: the time of all else that is trained and exported.
    """

    kind: Kind
    calibration: RoutingData
    test: RoutingData
    weights_bytes: list[int]
    teacher_s: float
    student_s: float


def learn_once(cells: Cells, task: Task, seed: int) -> Learned:
    """Return a trained task, which is trained first if it is not in the cache.

    Args:
        cells: the cache of finished steps.
        task: the task.
        seed: the seed of the split, the weights and the order of the training data.
    """
    splits = task.load_checked(None, seed)
    described = _describe(task, splits, seed)
    teacher = cells.load_or_make(described, lambda: _teach(task, splits, seed))
    nest = Cell(
        name="nest",
        parameters={
            "task": task.name,
            "seed": seed,
            "student": repr(task.student),
            **{
                name: asdict(getattr(task, name))
                for name in ("student_recipe", "distillation", "nesting", "quantization")
            },
        },
        modules=_NEST_CODE,
        parents=[described.key],
    )
    content = cells.load_or_make(nest, lambda: _distil(task, splits, teacher, seed))
    kind = kind_of(task.signature)
    return Learned(
        kind=kind,
        calibration=_routing_data(kind, content["calibration"]),
        test=_routing_data(kind, content["test"]),
        weights_bytes=content["weights_bytes"],
        teacher_s=teacher["train_s"],
        student_s=content["seconds"],
    )


def _describe(task: Task, splits: Splits, seed: int) -> Cell:
    digest = hashlib.sha256()
    for examples in (splits.train, splits.calibration, *splits.test):
        for batch in batches_of(examples.inputs):
            digest.update(np.ascontiguousarray(batch).data)
        digest.update(np.ascontiguousarray(examples.labels).data)
        digest.update(repr(list(examples.lengths)).encode())
    return Cell(
        name="teacher",
        parameters={
            "task": task.name,
            "seed": seed,
            "data": digest.hexdigest(),
            "teacher": hashlib.sha256(repr(make_teacher(task)).encode()).hexdigest(),
            "recipe": task.teacher_recipe and asdict(task.teacher_recipe),
            "augment": getattr(task.augment, "__qualname__", repr(task.augment)),
        },
        modules=_TEACHER_CODE,
    )


def _teach(task: Task, splits: Splits, seed: int) -> Content:
    started = time.monotonic()
    teacher = train_teacher(task, splits.train, seeded(seed), _progress())
    fit_threshold(teacher, splits.calibration)
    return {"state": teacher.state_dict(), "train_s": time.monotonic() - started}


def _distil(task: Task, splits: Splits, content: Mapping[str, Any], seed: int) -> Content:
    teacher = make_teacher(task)
    teacher.load_state_dict(content["state"])
    student = train_student(task, teacher, splits.train, seeded(seed), _progress())
    cloud, outputs = prepare_to_serve(task, teacher, splits.calibration)
    found = finish(task, splits, student, cloud, outputs, seed=seed, progress=_progress())
    served, test = CloudModel("teacher", found.cloud.onnx), concatenate(splits.test)
    return {
        "calibration": _outputs(found, splits.calibration, outputs),
        "test": _outputs(
            found, test, np.concatenate([served.run(b) for b in batches_of(test.inputs, _BATCH)])
        ),
        "weights_bytes": np.cumsum([len(one.ring) for one in found.capacities]).tolist(),
    }


def _outputs(found: LearnedTask, examples: Examples, cloud: NDArray[np.float32]) -> Content:
    return {
        "logits": torch.stack(
            [
                torch.from_numpy(_run(found, capacity, examples))
                for capacity in range(1, len(found.capacities) + 1)
            ]
        ),
        "cloud": torch.from_numpy(cloud),
        "labels": torch.from_numpy(examples.labels),
        "lengths": list(examples.lengths),
    }


def _run(found: LearnedTask, capacity: int, examples: Examples) -> NDArray[np.float32]:
    rings = [one.ring for one in found.capacities[:capacity]]
    session = open_session(found.capacities[capacity - 1].template, assemble(found.layout, rings))
    return np.concatenate(
        [session.run(["logits"], {"input": batch})[0] for batch in batches_of(examples.inputs)]
    )


def _routing_data(kind: Kind, outputs: Mapping[str, Any]) -> RoutingData:
    labels = outputs["labels"].numpy()
    return RoutingData(
        inputs=np.zeros((len(labels), 1), np.float32),  # routers only see outputs
        logits=outputs["logits"].numpy(),
        cloud=outputs["cloud"].numpy(),
        labels=labels,
        lengths=outputs["lengths"],
        kind=kind,
    )


def _progress() -> ConsoleProgress:
    return ConsoleProgress(Console(stderr=True))
