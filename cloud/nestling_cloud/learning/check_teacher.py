"""Checks that a teacher can teach a student, and that the cloud can serve the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nestling.v1.bundle_pb2 import WireForm
from nestling_cloud.cloud_model.check import run_in_batches, try_model
from nestling_cloud.cloud_model.model import CloudModel, ModelError
from nestling_cloud.learning.distillation import TeacherFeatureError, answers_of
from nestling_cloud.learning.loop import logits_of
from nestling_cloud.learning.macs import network_macs
from nestling_cloud.learning.make_teacher import TeacherError, make_teacher, name_of
from nestling_cloud.learning.measure_wire_forms import measure_wire_forms
from nestling_cloud.learning.onnx.adopt_onnx import AdoptedModel
from nestling_cloud.learning.onnx.onnx_network import OnnxNetwork
from nestling_cloud.learning.onnx.torch_export import export_onnx, export_reason
from nestling_cloud.learning.train_teacher import check_answers, cloud_model_name
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.of_signature import kind_of

# Allowed difference between onnxruntime and torch, as a part of the largest logit.
_EXPORT_TOLERANCE = 1e-2


@dataclass(frozen=True, kw_only=True)
class LearnedCloud:
    """The trained teacher in the form that the cloud serves.

    Attributes:
        onnx: the serialized ONNX model.
        macs: the number of multiply-accumulates of one inference.
        accuracy: the share of the calibration inputs that the exported model answers correctly.
        wire_forms: the forms in which inputs can be sent to the cloud, with their measured sizes
            and losses on calibration inputs.
    """

    onnx: bytes
    macs: int
    accuracy: float
    wire_forms: Sequence[WireForm]


def check_teaching(task: Task, inputs: Inputs) -> None:
    """Raise an error if the task's teacher cannot teach the student or cannot be served.

    This check precedes the training, so that an unsuitable teacher is noticed early.

    Args:
        task: the task, which makes the teacher.
        inputs: at least one input of the task, (N, *shape).

    Raises:
        TeacherError: the teacher cannot be made, does not fit the signature, or cannot be exported
            or served, or its answers differ after the export.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
    """
    teacher, asked = make_teacher(task), task.distillation
    check_answers(task, teacher, inputs)
    if asked.feature != "none" and not asked.assistants:
        if isinstance(teacher, OnnxNetwork):
            raise TeacherFeatureError(
                f"task {task.name}: distillation by {asked.feature} compares layers inside the "
                f"teacher, and those of {name_of(teacher)} cannot be seen; leave out "
                "Distillation(feature=...), or give the teacher as a torch.nn.Module"
            )
        shape = task.student.read_shape(task.signature.shape)
        one = torch.from_numpy(inputs[:1])
        answers_of(teacher, one, asked.feature, shape=shape)  # raises if it lacks the feature
    _export_and_check(task, teacher, inputs)


def prepare_to_serve(
    task: Task, teacher: nn.Module, calibration: Examples
) -> tuple[LearnedCloud, NDArray[np.float32]]:
    """Return a trained teacher in the form that the cloud serves, and its calibration logits.

    The logits are computed by the exported model, so they match the cloud's later answers.

    Args:
        task: the task, which defines the input shape and the classes.
        teacher: the trained teacher.
        calibration: the data on which the exported model is checked and its accuracy is measured.

    Returns:
        The exported teacher, and its outputs for the calibration inputs, (N, O).

    Raises:
        TeacherError: the teacher cannot be exported or served, or its answers differ after the
            export.
    """
    onnx, model = _export_and_check(task, teacher, calibration.inputs)
    adopted = _adopted(teacher)
    try:
        logits = run_in_batches(model, calibration.inputs)
        wire_forms = measure_wire_forms(model, calibration, kind_of(task.signature))
    except ModelError as err:
        raise TeacherError(
            f"task {task.name}: the trained teacher cannot be served: {err}; lower its learning "
            "rate, or check that calibration input"
        ) from err
    kind = kind_of(task.signature)
    cloud = LearnedCloud(
        onnx=onnx,
        macs=adopted.macs if adopted else network_macs(teacher, task.signature.shape),
        accuracy=float(kind.success(kind.answers(logits), calibration.labels).mean()),
        wire_forms=wire_forms,
    )
    return cloud, logits


def _adopted(teacher: nn.Module) -> AdoptedModel | None:
    """Return the form in which a teacher that is no torch network is served; None for others."""
    served = getattr(teacher, "served", None)
    return served if isinstance(served, AdoptedModel) else None


def _export_and_check(task: Task, teacher: nn.Module, inputs: Inputs) -> tuple[bytes, CloudModel]:
    """Return the teacher as serialized ONNX, and the model that the cloud loads from it.

    Raise TeacherError if the teacher cannot be exported or served, or if the model's answers differ
    from the network's.
    """
    onnx = _export_teacher(task, teacher)
    try:
        model = CloudModel(cloud_model_name(task), onnx)
        answers = try_model(model, task.signature, inputs)
    except ModelError as err:
        raise TeacherError(
            f"task {task.name}: the teacher {name_of(teacher)} cannot be served after its "
            f"export: {err}"
        ) from err
    _check_export(task, teacher, inputs, answers)
    return onnx, model


def _check_export(
    task: Task, teacher: nn.Module, inputs: Inputs, answers: NDArray[np.float32]
) -> None:
    """Raise TeacherError if the exported model's answers differ too much from the network's.

    `inputs` is repeated or cut to the number of `answers`, which are those of the exported model.
    """
    rows = np.resize(inputs[: len(answers)], (len(answers), *task.signature.shape))
    expected = logits_of(teacher, torch.from_numpy(rows)).numpy()
    difference = float(np.abs(answers - expected).max())
    if not difference <= _EXPORT_TOLERANCE * float(np.abs(expected).max()):
        raise TeacherError(
            f"task {task.name}: the teacher {name_of(teacher)} gives other answers once it "
            f"is exported to ONNX (logits off by {difference:.3g}); remove randomness and Python "
            "conditions from its forward"
        )


def _export_teacher(task: Task, teacher: nn.Module) -> bytes:
    adopted = _adopted(teacher)
    if adopted is not None:
        return adopted.onnx
    example = torch.zeros(2, *task.signature.shape)
    try:
        return export_onnx(teacher, [example], input_names=["input"], output_names=["logits"])
    except Exception as err:  # the exporter may raise anything
        raise TeacherError(
            f"task {task.name}: the teacher {name_of(teacher)} cannot be exported to ONNX, "
            f"which the cloud serves: {export_reason(err)}"
        ) from err
