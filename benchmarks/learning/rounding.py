"""Builds the int8 nests of the learning benchmark, and measures their accuracy in onnxruntime."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from rich.console import Console

from benchmarks.learning import nests
from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.learning.nests import Study, student_cell, student_from
from benchmarks.learning.teacher import teacher_cell, teacher_of, test_of
from nestling.v1.bundle_pb2 import NestedTensor
from nestling_cloud.learning.distillation import make_views
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.onnx.float_export import export_fp32
from nestling_cloud.learning.onnx.template import build_template
from nestling_cloud.learning.quantization import quantize
from nestling_cloud.learning.train_student import fine_tune_on_grid
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks import Examples, Quantization, Task
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble, ring_bytes
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import layout

MODULES = (
    *nests.MODULES,
    "benchmarks.learning.rounding",
    "nestling_core.nest.layout",
    "nestling_core.execution.session",
    "nestling_cloud.learning.onnx.torch_export",
    "nestling_cloud.learning.onnx.float_export",
    "nestling_cloud.learning.quantization",
    "nestling_cloud.learning.onnx.graph_builder",
    "nestling_cloud.learning.onnx.template",
)
_BATCH = 500


def describe(study: Study, quantization: Quantization) -> Cell:
    """Return the description of the step that builds a student's int8 nest, for the cache."""
    return Cell(
        name="int8",
        parameters={"quantization": asdict(quantization), "views": quantization.aware_epochs},
        modules=MODULES,
        parents=[study.cell.key],
    )


def rounded_cell(cells: Cells, study: Study, quantization: Quantization) -> Content:
    """Return the cell (the cached result) of a student's int8 nest, made first if it is missing.

    Args:
        cells: the cache of finished steps.
        study: the description of the student.
        quantization: the settings of the quantization.

    Returns:
        A mapping with these entries, of which all but the last are lists by capacity, smallest
        first:

        - `test`, `calibration`: the accuracies of the int8 capacities in onnxruntime, in %.
        - `float_test`: the test accuracies in onnxruntime before rounding and fine-tuning, in %.
        - `template`: the graphs without weights, as tensors of bytes.
        - `ring`: the weights that each capacity adds, as tensors of bytes.
        - `float_model`: the complete float32 ONNX models, as tensors of bytes.
        - `largest_weights`: the size of the largest capacity's int8 weights, in bytes.
    """
    student = student_cell(cells, study)
    return cells.load_or_make(
        describe(study, quantization), lambda: _round(cells, study, quantization, student)
    )


def _round(cells: Cells, study: Study, quantization: Quantization, content: Content) -> Content:
    task, student = study.task, student_from(study, content)
    capacities = range(1, student.config.capacities + 1)
    splits = task.load_checked(None, study.seed)
    examples, test = study.select(splits.train), test_of(splits)
    floats = [export_fp32(student, task.signature, k) for k in capacities]
    if quantization.aware_epochs:
        rounded = replace(study.task, quantization=quantization)
        _fine_tune(cells, replace(study, task=rounded), student, examples)
    quantized = quantize(student, examples.inputs, quantization)
    tensors = layout(task.signature, task.student)
    rings = [ring_bytes(tensors, quantized.tensors, k) for k in capacities]
    templates = [build_template(quantized, task.signature, tensors, k) for k in capacities]
    sessions = open_capacities(task, templates, rings)
    return {
        "test": [_accuracy(session, test) for session in sessions],
        "calibration": [_accuracy(session, splits.calibration) for session in sessions],
        "float_test": [_accuracy(open_session(model), test) for model in floats],
        "template": [_as_tensor(template) for template in templates],
        "ring": [_as_tensor(ring) for ring in rings],
        "largest_weights": _weights(layout(task.signature, task.student.alone(len(rings)))),
        "float_model": [_as_tensor(model) for model in floats],
    }


def _fine_tune(cells: Cells, study: Study, student: NestedStudent, examples: Examples) -> None:
    task, generator = study.task, seeded(study.seed)
    teacher = teacher_of(task, teacher_cell(cells, task, study.seed))
    # One view for each epoch: more would not be used.
    distillation = replace(task.distillation, views=task.quantization.aware_epochs)
    views = make_views(task, teacher, examples, generator, distillation)
    fine_tune_on_grid(task, student, views, generator, ConsoleProgress(Console(stderr=True)))


def _weights(tensors: Sequence[NestedTensor]) -> int:
    """Return the size of a network's int8 weights in bytes."""
    return sum(math.prod(tensor.prefixes[-1].shape) for tensor in tensors)


def open_capacities(
    task: Task, templates: Sequence[bytes], rings: Sequence[bytes]
) -> list[InferenceSession]:
    """Return an open session for every capacity of an int8 nest.

    Args:
        task: the task with the nest's student.
        templates: the template (the graph without weights) of each capacity, smallest first.
        rings: the ring (the weights that the capacity adds) of each capacity, smallest first.
    """
    tensors = layout(task.signature, task.student)
    return [
        open_session(template, assemble(tensors, rings[:capacity]))
        for capacity, template in enumerate(templates, start=1)
    ]


def session_logits(session: InferenceSession, examples: Examples) -> torch.Tensor:
    """Return the logits that a session computes for all examples, (N, classes)."""
    batches = np.split(examples.inputs, range(_BATCH, len(examples), _BATCH))
    return torch.cat([torch.from_numpy(session.run(None, {"input": x})[0]) for x in batches])


def _accuracy(session: InferenceSession, examples: Examples) -> float:
    answers = session_logits(session, examples).argmax(1).numpy()
    return float(100 * np.mean(answers == examples.labels))


def _as_tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def as_bytes(tensors: Sequence[torch.Tensor]) -> list[bytes]:
    """Return the content of the byte tensors that `rounded_cell` returns."""
    return [tensor.numpy().tobytes() for tensor in tensors]


def byte_counts(content: Content, name: str) -> NDArray[np.intp]:
    """Return the sizes in bytes of one entry of an int8 nest, by capacity, (K,).

    Args:
        content: the cell of the int8 nest.
        name: the name of the entry, which is `template`, `ring` or `float_model`.
    """
    return np.array([len(data) for data in content[name]], np.intp)
