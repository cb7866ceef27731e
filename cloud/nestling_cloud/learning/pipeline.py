"""Runs all training steps, from a task's data to the contents of a bundle (a release)."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration, NestedTensor
from nestling_cloud.learning.anomaly_thresholds import with_thresholds
from nestling_cloud.learning.check_teacher import LearnedCloud, check_teaching, prepare_to_serve
from nestling_cloud.learning.distillation import check_views_fit, inputs_as_trained
from nestling_cloud.learning.loop import seeded
from nestling_cloud.learning.macs import activation_counts, macs_by_capacity
from nestling_cloud.learning.onnx.compiled_nest import CompiledNest, compile_nest
from nestling_cloud.learning.quantization import quantize
from nestling_cloud.learning.routing import (
    FEWEST_FITTED,
    USUAL_NETWORK_INPUTS,
    RoutingData,
    calibrate,
    choose_design,
    fit_multiplexer,
    share_out,
)
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.learning.train_teacher import fit_threshold, train_teacher
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.examples import Splits
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.labels import SingleLabel
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import Arrays, arrays_of

_GOLDEN_INPUTS = 8
# Tolerance for the rounding of other processors, as a part of the largest golden logit.
_GOLDEN_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class LearnedCapacity:
    """Everything that a bundle contains for one capacity (size of the student).

    Attributes:
        template: the ONNX graph for unsigned activations, which includes the multiplexer's layers
            but not the student's weights.
        template_int8: the same graph for signed activations, which gives the same logits.
        ring: the int8 weights that this capacity adds to the next smaller one.
        macs: the number of multiply-accumulates of one inference.
        memory_bytes: the total size of the weights, the template, the front end, and the input and
            output of the layer for which these two are largest together, in bytes.
        accuracy: the share of the calibration inputs that this capacity answers correctly in
            onnxruntime.
        golden_logits: the student's outputs for the golden inputs, (G, O).
    """

    template: bytes
    template_int8: bytes
    ring: bytes
    macs: int
    memory_bytes: int
    accuracy: float
    golden_logits: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LearnedTask:
    """Everything that a bundle contains.

    Attributes:
        layout: the names and shapes of the student's int8 weight tensors.
        capacities: the capacities, the smallest first.
        cloud: the teacher in the form that the cloud serves.
        calibration: the thresholds for target offload shares and tolerated risks.
        golden_inputs: the inputs with known logits that test an installed bundle, (G, *shape).
        golden_tolerance: the largest difference allowed in any logit of the golden inputs.
        checkpoint: the arrays of the nested student before rounding, by their names in
            `nestling_core.student.weights`. Devices do not get these arrays.
    """

    layout: Sequence[NestedTensor]
    capacities: Sequence[LearnedCapacity]
    cloud: LearnedCloud
    calibration: Calibration
    golden_inputs: NDArray[np.float32]
    golden_tolerance: float
    checkpoint: Arrays


def learn(task: Task, splits: Splits, *, seed: int, progress: Progress) -> LearnedTask:
    """Run all training steps and return everything that a task's bundle contains.

    Args:
        task: the task to learn.
        splits: the data of the task, of which the test part is not used.
        seed: the random seed for initial weights, shuffling and augmentation.
        progress: the progress display, advanced once per epoch.

    Raises:
        TeacherError: the teacher cannot be made, does not fit the signature, or cannot be exported
            or served, or its answers differ after the export.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
        ViewsError: the disk has no room for the augmented copies of the training data.
    """
    check_teaching(task, splits.train.inputs)
    check_views_fit(task, splits.train)
    generator = seeded(seed)
    teacher = train_teacher(task, splits.train, generator, progress)
    fit_threshold(teacher, splits.calibration)
    student = train_student(task, teacher, splits.train, generator, progress)
    cloud, logits = prepare_to_serve(task, teacher, splits.calibration)
    return finish(task, splits, student, cloud, logits, seed=seed, progress=progress)


def finish(
    task: Task,
    splits: Splits,
    student: NestedStudent,
    cloud: LearnedCloud,
    cloud_logits: NDArray[np.float32],
    *,
    seed: int,
    progress: Progress,
) -> LearnedTask:
    """Return everything that a bundle contains, from the trained student and teacher.

    The function quantizes the student, builds its graphs, and fits the multiplexer, which estimates
    how likely the teacher and each capacity of the student are to answer correctly. In an anomaly
    task, the function also sets the threshold of each capacity.

    Args:
        task: the task that was learned.
        splits: the data of the task, of which the test part is not used.
        student: the trained student, whose weights are rounded in place.
        cloud: the teacher in the form that the cloud serves.
        cloud_logits: the teacher's outputs for the calibration inputs, (N, O).
        seed: the random seed for the fits.
        progress: the progress display, advanced once per epoch.

    Raises:
        TrainingError: there are too few calibration inputs, or a loss or a weight is no longer
            finite.
    """
    checkpoint = arrays_of(student)
    kind = kind_of(task.signature)
    trained_on = inputs_as_trained(kind, splits.train.inputs)
    quantized = quantize(student, trained_on, task.quantization)
    nest = compile_nest(quantized, task.signature, task.student)
    unseen = splits.calibration
    if isinstance(kind, Anomaly):
        quantized = with_thresholds(quantized, nest.logits(unseen.inputs), cloud_logits)
        nest = compile_nest(quantized, task.signature, task.student)
    data = RoutingData(
        inputs=unseen.inputs,
        kind=kind,
        logits=nest.logits(unseen.inputs),
        cloud=cloud_logits,
        labels=unseen.labels,
        lengths=unseen.lengths,
    )
    macs = macs_by_capacity(task.signature, task.student)
    fitted, held_out = share_out(data)
    design = choose_design(fitted, seed=seed, progress=progress)
    estimator = fit_multiplexer(fitted, seed=seed, progress=progress, design=design)
    calibration = calibrate(estimator, fitted, held_out, macs)
    calibration.rule = design.rule
    if isinstance(kind, SingleLabel):  # other kinds have one rule, and no network
        calibration.network_inputs = _network_inputs(len(data), len(fitted))
    calibration.fitted_inputs = len(fitted)
    nest = nest.with_multiplexer(estimator)
    golden = _golden_indices(len(unseen))
    return LearnedTask(
        layout=nest.layout,
        capacities=_capacities(task, nest, macs, data, golden),
        cloud=cloud,
        calibration=calibration,
        golden_inputs=data.inputs[golden],
        golden_tolerance=_GOLDEN_TOLERANCE * float(np.abs(data.logits[:, golden]).max()),
        checkpoint=checkpoint,
    )


def _network_inputs(total: int, fitted: int) -> int:
    """Return the smallest number of calibration inputs with which networks are tried."""
    usual = USUAL_NETWORK_INPUTS
    # Because recordings are kept whole, the fitted part may be smaller or larger than usual.
    if fitted < FEWEST_FITTED:
        return max(usual, math.ceil(FEWEST_FITTED * total / fitted))
    return min(usual, total)


def _memory_bytes(task: Task, nest: CompiledNest) -> list[int]:
    found = []
    front_end = task.student.front_end
    fixed = front_end.memory_bytes(task.signature.shape) if front_end else 0
    for capacity, template in enumerate(nest.templates, start=1):
        counts = activation_counts(task.signature, task.student, capacity)
        activations = max(a + b for a, b in itertools.pairwise(counts))
        weights = sum(len(ring) for ring in nest.rings[:capacity])
        found.append(fixed + weights + len(template) + activations)
    return found


def _capacities(
    task: Task,
    nest: CompiledNest,
    macs: Sequence[int],
    data: RoutingData,
    golden: NDArray[np.intp],
) -> list[LearnedCapacity]:
    memory = _memory_bytes(task, nest)
    return [
        LearnedCapacity(
            template=nest.templates[index],
            template_int8=nest.templates_int8[index],
            ring=nest.rings[index],
            macs=macs[index],
            memory_bytes=memory[index],
            accuracy=float(data.right[:, index].mean()),
            golden_logits=data.logits[index, golden],
        )
        for index in range(len(macs))
    ]


def _golden_indices(count: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(_GOLDEN_INPUTS, count)).astype(np.intp)
