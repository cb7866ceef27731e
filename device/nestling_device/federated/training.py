"""Trains a device's part of the student on the device's own examples."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from nestling_core.student.messages import LocalRecipe
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate, smaller_capacities_losses
from nestling_device.errors import DeviceError
from nestling_device.federated.examples import LocalExamples

_BATCH = 256


class LocalTrainingError(DeviceError):
    """Raised when training cannot start, or when it diverges."""


def train_prefix(
    student: NestedStudent,
    examples: LocalExamples,
    capacity: int,
    recipe: LocalRecipe,
    generator: torch.Generator,
) -> None:
    """Train capacities 1 to `capacity` of a student in place.

    In each step, the largest capacity is trained on the labels. Capacity 1 and a random capacity
    between 1 and the largest are trained on the outputs of the largest (the sandwich rule). In each
    epoch, the last examples of the random order are left out if they do not fill a batch. After the
    last epoch, the statistics of the normalizations are measured again. The function restricts
    torch to one thread and to deterministic algorithms for the rest of the process.

    Args:
        student: the network, which holds at least these capacities and is left in evaluation mode.
        examples: the examples to train on.
        capacity: the largest capacity that the device holds.
        recipe: the number of epochs, the batch size, the learning rate and the weight decay.
        generator: the generator that shuffles the examples and selects the random capacity of each
            step.

    Raises:
        LocalTrainingError: there are too few examples, or the loss is no longer finite.
    """
    # One thread, because the device has other work; it also fixes the order of summation.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    count = len(examples.labels)
    if count < 2:
        raise LocalTrainingError(f"{count} examples are too few to learn from")
    inputs, labels = torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels)
    batch = min(recipe.batch, count)
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = recipe.epochs * (count // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    student.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch + 1, batch):
            chosen = order[start : start + batch]
            logits = student(inputs[chosen], capacity)
            loss = functional.cross_entropy(logits, labels[chosen])
            smaller = smaller_capacities_losses(
                student, inputs[chosen], logits, capacity, generator
            )
            loss = sum(smaller, loss)
            if not torch.isfinite(loss):
                raise LocalTrainingError(
                    f"the loss is {loss.item()}", advice="this device sits this round out"
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
    recalibrate(student, inputs, capacity)


@torch.no_grad()
def accuracy(
    student: NestedStudent,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    capacity: int,
) -> float:
    """Return the share of inputs that a capacity classifies correctly, or 0 if there are no inputs.

    Args:
        student: the network, which holds at least that capacity and is left in evaluation mode.
        inputs: the inputs, float32 (N, *shape).
        labels: the classes of the inputs, int64 (N,).
        capacity: the capacity to run.
    """
    if not len(labels):
        return 0.0
    student.eval()
    parts = torch.split(torch.from_numpy(inputs), _BATCH)
    answers = torch.cat([student(part, capacity).argmax(1) for part in parts])
    return float((answers.numpy() == labels).mean())
