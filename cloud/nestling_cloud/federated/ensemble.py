"""Trains the nested student on the answers of the teacher and of the clients' models.

The training uses the cloud's own training data. Without this training, a capacity (size of the
student) that few clients trained would be less accurate, and the student would forget what it
learned from data that the clients do not have.

As in FedDF (Lin et al. 2020), the clients' models form an ensemble that acts as a second teacher.
Here each capacity has a separate ensemble, which consists of the models of the clients that trained
this capacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.cloud_model.check import run_in_batches
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.federated.aggregation import Update
from nestling_cloud.learning.distillation import augmented_copies
from nestling_cloud.learning.input_tensors import split, tensors_of
from nestling_cloud.learning.loop import train
from nestling_cloud.learning.torch_device import training_device
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.task import Task
from nestling_core.student.losses import distillation_loss
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import TEMPERATURE, recalibrate
from nestling_core.student.weights import Arrays, load_prefix, student_of

_BATCH = 512


@dataclass(frozen=True, kw_only=True)
class EnsembleRecipe:
    """The options of the distillation that follows the federated rounds.

    Attributes:
        client_weight: the weight of the clients' mean logits in the blended logits, 0 to 1. The
            teacher's logits have the weight `1 - client_weight`.
        soft_weight: the weight of the loss on the blended logits, 0 to 1. The loss on the labels
            has the weight `1 - soft_weight`.
        views: the number of augmented copies of the training data, which epochs use in turn.
        recipe: the options of the student's training.
    """

    client_weight: float
    soft_weight: float = 0.7
    views: int = 2
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=2, learning_rate=1e-3))


def blend(
    teacher: torch.Tensor, clients: Sequence[torch.Tensor], client_weight: float
) -> torch.Tensor:
    """Return the weighted mean of the teacher's logits and the clients' mean logits.

    Args:
        teacher: the teacher's logits, (N, classes).
        clients: the logits (N, classes) of each client that trained the capacity. If there are no
            clients, the teacher's logits are returned.
        client_weight: the weight of the clients' mean logits, 0 to 1.

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
    """Return the sum of the distillation losses of all capacities.

    Args:
        student: the nested student.
        inputs: the inputs, (N, *shape).
        targets: the logits that each capacity learns from, (K, N, classes).
        labels: the class index of each input, (N,).
        soft_weight: the weight of the loss on the targets, 0 to 1. The loss on the labels has the
            weight `1 - soft_weight`.
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
    """Return the student after further training on the answers of the teacher and the clients.

    Args:
        task: the task, with the student's sizes and the augmentation.
        whole: the arrays of the full student after the rounds, by name.
        updates: the updates of the latest round in which updates were averaged. If there are none,
            the student learns only from the teacher and the labels.
        teacher_onnx: the content of the ONNX file of the teacher that the cloud serves.
        examples: the cloud's own training data.
        recipe: the options of the distillation.
        generator: the random generator for augmentation and shuffling.
        progress: the progress display, advanced once per epoch.

    Returns:
        The trained student, with the normalization of every capacity recalibrated on the inputs
        without augmentation.

    Raises:
        ModelError: the teacher cannot be loaded, fails, or its logits are not finite.
        TrainingError: the loss or a weight is no longer finite.
        ViewsError: the disk has no room for the augmented copies of the training data.
    """
    inputs, labels = tensors_of(examples.inputs), torch.from_numpy(examples.labels)
    clients = [(update.capacity, _client(task, whole, update)) for update in updates]
    capacities = task.student.capacities
    views = augmented_copies(task.augmented, examples, generator, recipe.views)
    teacher = CloudModel("the teacher", teacher_onnx)
    blended = (
        [_targets(clients, capacities, teacher, part, recipe) for part in split(view, _BATCH)]
        for view in views
    )
    targets = torch.stack([torch.cat(parts, dim=1) for parts in blended])  # (views, K, N, classes)
    student = student_of(task.signature, task.student, whole)
    device = training_device()

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        view = epoch % recipe.views
        return ensemble_loss(
            student,
            views[view][indices].to(device),
            targets[view][:, indices].to(device),
            labels[indices].to(device),
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
        device=device,
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
    teacher: CloudModel,
    inputs: torch.Tensor,
    recipe: EnsembleRecipe,
) -> torch.Tensor:
    """Return the logits that each capacity learns from, (K, N, classes).

    `clients` has a pair for each client: the largest capacity that the client trained, and its
    student.
    """
    logits = torch.from_numpy(run_in_batches(teacher, inputs.numpy()))
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
    with torch.no_grad():
        logits: torch.Tensor = client(inputs, capacity)
        return logits


def teacher_logits(onnx: bytes, inputs: Inputs) -> NDArray[np.float32]:
    """Return the teacher's logits (N, classes), computed in the same way as for devices.

    Args:
        onnx: the content of the teacher's ONNX file.
        inputs: the inputs, (N, *shape).

    Raises:
        ModelError: the teacher cannot be loaded, fails, or its logits are not finite.
    """
    return run_in_batches(CloudModel("the teacher", onnx), inputs)
