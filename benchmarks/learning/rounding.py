"""The benchmark's int8 nests: accuracy in onnxruntime, bytes, and templates to be timed."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
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
from nestling_cloud.tasks import Examples, Quantization
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
    "nestling_cloud.learning.onnx.template",
)
_BATCH = 500


def describe(study: Study, quantization: Quantization) -> Cell:
    """The cell of a student's int8."""
    return Cell(
        name="int8",
        parameters={
            "quantization": dataclasses.asdict(quantization),
            "views": quantization.aware_epochs,
        },
        modules=MODULES,
        parents=[study.cell.key],
    )


def rounded_cell(cells: Cells, study: Study, quantization: Quantization) -> Content:
    """int8 of a student.

    Holds, for every capacity, `test` and `calibration` accuracy in % and `float_test` of the same
    weights before rounding, all in onnxruntime; `template`, `ring` and `float_model`, a complete
    float32 ONNX model, as tensors of bytes; `largest_weights`, bytes of the largest's int8 weights.
    """
    student = student_cell(cells, study)
    return cells.take(
        describe(study, quantization), lambda: _round(cells, study, quantization, student)
    )


def _round(cells: Cells, study: Study, quantization: Quantization, content: Content) -> Content:
    task, student = study.task, student_from(study, content)
    splits = task.load_checked(None, study.seed)
    examples = study.some(splits.train)
    floats = [export_fp32(student, task.signature, k) for k in _capacities(student)]
    if quantization.aware_epochs:
        rounded = dataclasses.replace(study.task, quantization=quantization)
        _fine_tune(cells, dataclasses.replace(study, task=rounded), student, examples)
    quantized = quantize(student, examples.inputs, quantization)
    tensors = layout(task.signature, task.student)
    rings = [ring_bytes(tensors, quantized.tensors, k) for k in _capacities(student)]
    templates = [
        build_template(quantized, task.signature, tensors, k) for k in _capacities(student)
    ]
    stores = [assemble(tensors, rings[:k]) for k in _capacities(student)]
    test = test_of(splits)
    return {
        "test": [_accuracy(t, s, test) for t, s in zip(templates, stores, strict=True)],
        "calibration": [
            _accuracy(t, s, splits.calibration) for t, s in zip(templates, stores, strict=True)
        ],
        "float_test": [_accuracy(model, None, test) for model in floats],
        "template": [_as_tensor(template) for template in templates],
        "ring": [_as_tensor(ring) for ring in rings],
        "largest_weights": _weights(layout(task.signature, task.student.alone(len(rings)))),
        "float_model": [_as_tensor(model) for model in floats],
    }


def _fine_tune(cells: Cells, study: Study, student: NestedStudent, examples: Examples) -> None:
    task, generator = study.task, seeded(study.seed)
    teacher = teacher_of(task, teacher_cell(cells, task, study.seed))
    # As many copies as epochs: more would not be looked at.
    distillation = dataclasses.replace(task.distillation, views=task.quantization.aware_epochs)
    views = make_views(task, teacher, examples, generator, distillation)
    fine_tune_on_grid(task, student, views, generator, ConsoleProgress(Console(stderr=True)))


def _capacities(student: NestedStudent) -> range:
    return range(1, student.config.capacities + 1)


def _weights(tensors: Sequence[NestedTensor]) -> int:
    """Bytes of a network's int8 weights."""
    return sum(math.prod(tensor.prefixes[-1].shape) for tensor in tensors)


def _accuracy(
    model: bytes,
    store: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int8]]] | None,
    on: Examples,
) -> float:
    session = open_session(model, store)
    answers = np.concatenate(
        [
            session.run(None, {"input": part})[0].argmax(1)
            for part in np.split(on.inputs, range(_BATCH, len(on), _BATCH))
        ]
    )
    return float(100 * np.mean(answers == on.labels))


def _as_tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def as_bytes(tensors: Sequence[torch.Tensor]) -> list[bytes]:
    """What `rounded_cell` keeps as tensors."""
    return [tensor.numpy().tobytes() for tensor in tensors]
