"""Distils the teacher and the clients' models into the nest, on the cloud's own training data.

Averaging alone leaves the capacities that few clients trained behind, and forgets what the clients
did not see. As in FedDF (Lin et al. 2020) the models that the clients trained are an ensemble, a
second teacher; here each capacity has its own, because a client's model has one.
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
    """What the nest learns from after the rounds.

    Attributes:
        client_weight: of the clients' mean logits against the teacher's, 0 to 1.
        soft_weight: of both against the labels, 0 to 1.
        views: augmented copies of the training data.
        recipe: epochs and steps.
    """

    client_weight: float
    soft_weight: float = 0.7
    views: int = 2
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=2, learning_rate=1e-3))


def blend(
    teacher: torch.Tensor, clients: Sequence[torch.Tensor], client_weight: float
) -> torch.Tensor:
    """Logits that one capacity learns from: the teacher's and the clients' mean. Pure.

    Args:
        teacher: (N, classes).
        clients: of each client that trained the capacity, (N, classes); none leaves the teacher.
        client_weight: 0 to 1.
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
    """Sum over all capacities of each one's distillation loss.

    Args:
        student: the nest.
        inputs: (N, *shape).
        targets: logits for each capacity, (K, N, classes).
        labels: (N,).
        soft_weight: of the targets against the labels.
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
    """Take the nest that the rounds ended with on, towards teacher and ensemble.

    Args:
        task: student sizes and augmentation.
        whole: every array of that nest.
        updates: of the last round; without any, the teacher teaches alone.
        teacher_onnx: the teacher, as it is served.
        examples: the cloud's own training data.
        recipe: what weighs how much.
        generator: augments and shuffles.
        progress: told every epoch.
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
        what="teacher and ensemble into the nest",
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
    """Logits for each capacity to learn from, (K, N, classes)."""
    said = torch.from_numpy(teacher)
    return torch.stack(
        [
            blend(
                said,
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
    """What the teacher, as it is served, says of many inputs, (N, classes)."""
    return run_in_batches(CloudModel("the teacher", onnx), inputs)
