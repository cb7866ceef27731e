"""Distill the teacher and the clients' models into the nest, on the cloud's own training data.

After averaging alone, capacities that few clients trained lag behind, and the nest forgets data
that the clients do not have. As in FedDF (Lin et al. 2020), the clients' models form an ensemble
that acts as a second teacher; here each capacity has an ensemble of its own, made of the clients
that trained this capacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.federated.aggregation import Update
from nestling_cloud.learning.loop import train
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.task import Examples, Task
from nestling_core.student.losses import distillation_loss
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import TEMPERATURE, recalibrate
from nestling_core.student.weights import Arrays, load_prefix, student_of

_BATCH = 512


@dataclass(frozen=True, kw_only=True)
class EnsembleRecipe:
    """Options of the distillation after the rounds.

    Attributes:
        client_weight: weight of the clients' mean logits against the teacher's, 0 to 1.
        soft_weight: weight of both against the labels, 0 to 1.
        views: number of augmented copies of the training data.
        recipe: how the nest is trained.
    """

    client_weight: float
    soft_weight: float = 0.7
    views: int = 2
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=2, learning_rate=1e-3))


def blend(
    teacher: torch.Tensor, clients: Sequence[torch.Tensor], client_weight: float
) -> torch.Tensor:
    """Blend the teacher's logits with the clients' mean. Pure.

    Args:
        teacher: logits, (N, classes).
        clients: logits of each client that trained the capacity, (N, classes). If there are none,
            the teacher's logits are returned.
        client_weight: weight of the clients' mean, 0 to 1.

    Returns:
        The logits that the capacity learns from, (N, classes).
    """
    if not clients:
        return teacher
    mean = torch.stack(list(clients)).mean(0)
    return (1 - client_weight) * teacher + client_weight * mean


def ensemble_loss(
    student: NestedStudent,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    labels: torch.Tensor,
    soft_weight: float,
) -> torch.Tensor:
    """Sum the distillation losses of all capacities.

    Args:
        student: the nest.
        inputs: (N, *shape).
        targets: logits that each capacity learns from, (K, N, classes).
        labels: class indices, (N,).
        soft_weight: weight of the targets against the labels, 0 to 1.
    """
    return torch.stack(
        [
            distillation_loss(
                student(inputs, capacity),
                target,
                labels,
                temperature=TEMPERATURE,
                weight=soft_weight,
            )
            for capacity, target in enumerate(targets, start=1)
        ]
    ).sum()


def distil_ensemble(
    task: Task,
    whole: Arrays,
    updates: Sequence[Update],
    teacher_onnx: bytes,
    examples: Examples,
    *,
    recipe: EnsembleRecipe,
    generator: torch.Generator,
    progress: Progress,
) -> NestedStudent:
    """Continue training the nest on the answers of the teacher and the clients' ensemble.

    Args:
        task: the task, with the student's sizes and the augmentation.
        whole: weights of the nest after the rounds.
        updates: updates of the last round; if there are none, only the teacher is used.
        teacher_onnx: the ONNX file of the teacher, as it is served.
        examples: the cloud's own training data.
        recipe: options of the distillation.
        generator: source of randomness for augmenting and shuffling.
        progress: advances with every epoch.

    Returns:
        The trained student, with its normalization recalibrated.
    """
    inputs, labels = torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels)
    clients = [(update.capacity, _client(task, whole, update)) for update in updates]
    capacities = task.student.capacities
    views = torch.stack([task.augment(inputs, generator) for _ in range(recipe.views)])
    targets = torch.stack(
        [
            _targets(clients, capacities, teacher_logits(teacher_onnx, view.numpy()), view, recipe)
            for view in views
        ]
    )  # (views, K, N, classes)
    student = student_of(task.signature, task.student, whole)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = epoch % recipe.views
        return ensemble_loss(
            student,
            views[view][indices],
            targets[view][:, indices],
            labels[indices],
            recipe.soft_weight,
        )

    train(
        student,
        loss_of,
        count=len(labels),
        recipe=recipe.recipe,
        generator=generator,
        progress=progress,
        what="distilling teacher and ensemble",
    )
    recalibrate(student, inputs)
    return student


def _client(task: Task, whole: Arrays, update: Update) -> NestedStudent:
    client = student_of(task.signature, task.student, whole)
    load_prefix(client, update.arrays)
    return client


def _targets(
    clients: Sequence[tuple[int, NestedStudent]],
    capacities: int,
    teacher: NDArray[np.float32],
    inputs: torch.Tensor,
    recipe: EnsembleRecipe,
) -> torch.Tensor:
    """Return the logits that each capacity learns from, (K, N, classes)."""
    logits = torch.from_numpy(teacher)
    return torch.stack(
        [
            blend(
                logits,
                [_logits(client, inputs, capacity) for held, client in clients if capacity <= held],
                recipe.client_weight,
            )
            for capacity in range(1, capacities + 1)
        ]
    )


def _logits(client: NestedStudent, inputs: torch.Tensor, capacity: int) -> torch.Tensor:
    parts = torch.split(inputs, _BATCH)
    with torch.no_grad():
        return torch.cat([client(part, capacity) for part in parts])


def teacher_logits(onnx: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (N, classes) of a teacher, run as it is served.

    Args:
        onnx: content of its ONNX file.
        inputs: (N, *shape).

    Raises:
        ModelError: the teacher cannot be loaded, fails, or its logits are not finite.
    """
    return run_in_batches(CloudModel("the teacher", onnx), inputs)
