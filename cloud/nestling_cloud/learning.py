"""The way of a model, from data to everything that a bundle holds."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nestling.admission import offload_bytes
from nestling.nest import assemble, ring_bytes
from nestling.session import open_session
from nestling.v1.bundle_pb2 import Calibration, NestedTensor, Signature
from nestling_cloud.export import export_onnx
from nestling_cloud.macs import activation_counts, network_macs, student_macs
from nestling_cloud.models.student import layout
from nestling_cloud.nesting import make_views, train_nested
from nestling_cloud.progress import Progress
from nestling_cloud.quantization import QuantizedStudent, quantize
from nestling_cloud.routing import Costs, Router, RoutingData, calibrate, fit_affordable, fit_router
from nestling_cloud.tasks.task import Examples, Splits, Task
from nestling_cloud.templates import build_template
from nestling_cloud.training import logits_of, seeded, train

_LABEL_SMOOTHING = 0.1
_GOLDEN_INPUTS = 8
# Part of the largest golden logit by which another processor's rounding may differ.
_GOLDEN_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class LearnedCapacity:
    """One capacity, ready for a bundle.

    Attributes:
        template: ONNX graph with external initialisers.
        ring: int8 weights that it adds to the capacity before.
        macs: multiply-accumulates of one inference.
        memory_bytes: weights, template and the two largest neighbouring activations.
        accuracy: on the calibration inputs, in onnxruntime.
        golden_logits: for the golden inputs, (G, classes).
    """

    template: bytes
    ring: bytes
    macs: int
    memory_bytes: int
    accuracy: float
    golden_logits: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LearnedCloud:
    """The teacher, ready to serve: ONNX model, multiply-accumulates, calibration accuracy."""

    onnx: bytes
    macs: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Everything that a bundle holds.

    Attributes:
        layout: the nest.
        capacities: smallest first.
        cloud: the teacher.
        multiplexer: ONNX, (input, budget) -> success.
        accept_head: ONNX, (logits, success, capacity) -> accept.
        multiplexer_macs: multiply-accumulates of one run.
        accept_head_macs: likewise.
        calibration: prices for wished offload shares.
        golden_inputs: (G, *shape).
        golden_tolerance: largest difference allowed in any golden logit.
    """

    layout: Sequence[NestedTensor]
    capacities: Sequence[LearnedCapacity]
    cloud: LearnedCloud
    multiplexer: bytes
    accept_head: bytes
    multiplexer_macs: int
    accept_head_macs: int
    calibration: Calibration
    golden_inputs: NDArray[np.float32]
    golden_tolerance: float


def learn(task: Task, splits: Splits, *, seed: int, progress: Progress) -> Learned:
    """Train the teacher, distil and quantise the nest, fit what routes.

    Args:
        task: what to learn.
        splits: its data; the test part is not looked at.
        seed: initial weights, shuffling, augmentation.
        progress: told every epoch.

    Raises:
        TrainingError: the data is too small, or a loss left the finite numbers.
    """
    generator = seeded(seed)
    teacher = _train_teacher(task, splits.train, generator, progress)
    views = make_views(task, teacher, splits.train, generator)
    student = train_nested(task, views, splits.train.inputs, generator, progress)
    quantized = quantize(student, splits.train.inputs)
    nest = layout(task.signature, task.student)
    unseen = splits.calibration
    cloud_logits = logits_of(teacher, torch.from_numpy(unseen.inputs)).numpy()
    templates, rings, logits = _run_capacities(task, quantized, nest, unseen.inputs)
    data = RoutingData(
        inputs=unseen.inputs,
        logits=logits,
        right=np.stack([_right(part, unseen) for part in (*logits, cloud_logits)], axis=1),
    )
    memory = _memory_bytes(task, templates, rings)
    costs = Costs(memory_bytes=memory, offload_bytes=offload_bytes(task.signature.shape))
    router = fit_router(task.signature, data, seed=seed, progress=progress)
    fit_affordable(router.multiplexer, costs, seed=seed, progress=progress)
    calibration = calibrate(task.signature, data, seed=seed, progress=progress)
    golden = _golden_indices(len(unseen))
    multiplexer, accept_head = _export_router(task.signature, router, task.student.capacities)
    return Learned(
        layout=nest,
        capacities=[
            LearnedCapacity(
                template=templates[index],
                ring=rings[index],
                macs=student_macs(task.signature, task.student, index + 1),
                memory_bytes=memory[index],
                accuracy=float(data.right[:, index].mean()),
                golden_logits=logits[index, golden],
            )
            for index in range(task.student.capacities)
        ],
        cloud=LearnedCloud(
            onnx=_export_teacher(task.signature, teacher),
            macs=network_macs(teacher, task.signature.shape),
            accuracy=float(data.right[:, -1].mean()),
        ),
        multiplexer=multiplexer,
        accept_head=accept_head,
        multiplexer_macs=network_macs(router.multiplexer, task.signature.shape, [6]),
        accept_head_macs=network_macs(
            router.accept_head,
            [len(task.signature.classes)],
            [2],
            [task.student.capacities],
        ),
        calibration=calibration,
        golden_inputs=unseen.inputs[golden],
        golden_tolerance=_GOLDEN_TOLERANCE * float(np.abs(logits[:, golden]).max()),
    )


def _train_teacher(
    task: Task, examples: Examples, generator: torch.Generator, progress: Progress
) -> nn.Module:
    teacher = task.teacher(task.signature)
    normalizer = getattr(teacher, "normalizer", None)
    if normalizer is not None:
        normalizer.fit(examples.inputs)
    inputs = torch.from_numpy(examples.inputs)
    labels = torch.from_numpy(examples.labels)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        logits = teacher(task.augment(inputs[indices], generator))
        return functional.cross_entropy(logits, labels[indices], label_smoothing=_LABEL_SMOOTHING)

    train(
        teacher,
        loss_of,
        count=len(examples),
        recipe=task.teacher_recipe,
        generator=generator,
        progress=progress,
        what="teacher",
    )
    return teacher


def _run_capacities(
    task: Task,
    quantized: QuantizedStudent,
    nest: Sequence[NestedTensor],
    inputs: NDArray[np.float32],
) -> tuple[list[bytes], list[bytes], NDArray[np.float32]]:
    """Templates, rings, and the logits (K, N, classes) that devices will get."""
    capacities = range(1, task.student.capacities + 1)
    rings = [ring_bytes(nest, quantized.tensors, k) for k in capacities]
    templates = [build_template(quantized, task.signature, nest, k) for k in capacities]
    logits = [
        open_session(templates[k - 1], assemble(nest, rings[:k])).run(None, {"input": inputs})[0]
        for k in capacities
    ]
    return templates, rings, np.stack(logits)


def _right(logits: NDArray[np.float32], examples: Examples) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = logits.argmax(axis=1) == examples.labels
    return right


def _memory_bytes(task: Task, templates: Sequence[bytes], rings: Sequence[bytes]) -> list[int]:
    found = []
    for capacity in range(1, len(rings) + 1):
        counts = activation_counts(task.signature, task.student, capacity)
        activations = max(a + b for a, b in itertools.pairwise(counts))
        weights = sum(len(ring) for ring in rings[:capacity])
        found.append(weights + len(templates[capacity - 1]) + activations)
    return found


def _golden_indices(count: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(_GOLDEN_INPUTS, count)).astype(np.intp)


def _export_teacher(signature: Signature, teacher: nn.Module) -> bytes:
    example = torch.zeros(2, *signature.shape)
    return export_onnx(teacher, [example], input_names=["input"], output_name="logits")


def _export_router(signature: Signature, router: Router, capacities: int) -> tuple[bytes, bytes]:
    example = torch.zeros(2, *signature.shape)
    budget = torch.zeros(2, 6)
    logits = torch.zeros(2, len(signature.classes))
    success, capacity = torch.zeros(2, 2), torch.zeros(2, capacities)
    return (
        export_onnx(
            router.multiplexer,
            [example, budget],
            input_names=["input", "budget"],
            output_name="success",
        ),
        export_onnx(
            router.accept_head,
            [logits, success, capacity],
            input_names=["logits", "success", "capacity"],
            output_name="accept",
        ),
    )
