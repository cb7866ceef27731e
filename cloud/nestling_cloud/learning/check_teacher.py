"""Whether a teacher can teach and be served: tried before it is trained, and again after."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling_cloud.cloud_model.check import run_in_batches, try_model
from nestling_cloud.cloud_model.model import CloudModel, ModelError
from nestling_cloud.learning.distillation import check_teacher
from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.macs import network_macs
from nestling_cloud.learning.onnx.torch_export import export_onnx
from nestling_cloud.learning.train_teacher import (
    TeacherError,
    check_answers,
    cloud_model_name,
    make_teacher,
)
from nestling_cloud.tasks.task import Examples, Task

# Part of the largest logit by which onnxruntime's sums and torch's may differ.
_EXPORT_TOLERANCE = 1e-2


@dataclass(frozen=True, kw_only=True)
class LearnedCloud:
    """The teacher, ready to serve: ONNX model, multiply-accumulates, calibration accuracy."""

    onnx: bytes
    macs: int
    accuracy: float


def check_teaching(task: Task, inputs: NDArray[np.float32]) -> None:
    """Know before the teacher is trained for long whether it can teach and be served.

    Args:
        task: with the teacher.
        inputs: some of the task's, (N, *shape).

    Raises:
        TeacherError: it does not fit the signature, cannot be exported, or its export does not
            answer as the cloud serves.
        TeacherFeatureError: it has no such feature as the distillation asks for.
    """
    teacher, asked = make_teacher(task), task.distillation
    check_answers(task, teacher, inputs)
    if asked.feature != "none" and not asked.assistants:
        check_teacher(teacher, task.signature.shape, asked.feature)
    _tried(task, teacher, inputs)


def to_serve(
    task: Task, teacher: nn.Module, calibration: Examples
) -> tuple[LearnedCloud, NDArray[np.float32]]:
    """Make a trained teacher ready to serve.

    Returns:
        It, and its logits for the calibration inputs, (N, classes), as the cloud answers them.

    Raises:
        TeacherError: it cannot be exported, or its export does not answer as the cloud serves.
    """
    onnx, model = _tried(task, teacher, calibration.inputs)
    try:
        logits = run_in_batches(model, calibration.inputs)
    except ModelError as err:
        raise TeacherError(
            f"task {task.name}: the trained teacher cannot be served: {err}; lower its learning "
            "rate, or look at what that calibration input holds"
        ) from err
    cloud = LearnedCloud(
        onnx=onnx,
        macs=network_macs(teacher, task.signature.shape),
        accuracy=float((logits.argmax(axis=1) == calibration.labels).mean()),
    )
    return cloud, logits


def _tried(task: Task, teacher: nn.Module, inputs: NDArray[np.float32]) -> tuple[bytes, CloudModel]:
    """Export a teacher, load it as the cloud serves it, and try it on inputs."""
    onnx = _export_teacher(task, teacher)
    try:
        model = CloudModel(cloud_model_name(task), onnx)
        answers = try_model(model, task.signature, inputs)
    except ModelError as err:
        raise TeacherError(
            f"task {task.name}: the teacher {type(teacher).__name__} cannot be served as it was "
            f"exported: {err}"
        ) from err
    _check_export(task, teacher, inputs, answers)
    return onnx, model


def _check_export(
    task: Task, teacher: nn.Module, inputs: NDArray[np.float32], answers: NDArray[np.float32]
) -> None:
    """Refuse an export that computes something else than the network."""
    rows = np.resize(inputs, (len(answers), *task.signature.shape))
    meant = logits_of(teacher, torch.from_numpy(rows)).numpy()
    difference = float(np.abs(answers - meant).max())
    if not difference <= _EXPORT_TOLERANCE * float(np.abs(meant).max()):
        raise TeacherError(
            f"task {task.name}: the teacher {type(teacher).__name__} answers otherwise once it is "
            f"exported to ONNX (logits off by {difference:.3g}); leave out what chance or Python "
            "decides in its forward"
        )


def _export_teacher(task: Task, teacher: nn.Module) -> bytes:
    example = torch.zeros(2, *task.signature.shape)
    try:
        return export_onnx(teacher, [example], input_names=["input"], output_names=["logits"])
    except Exception as err:  # the exporter raises what it likes
        reason = str(err).strip().split("\n", 1)[0]
        raise TeacherError(
            f"task {task.name}: the teacher {type(teacher).__name__} cannot be exported to ONNX, "
            f"which the cloud serves: {reason}"
        ) from err
