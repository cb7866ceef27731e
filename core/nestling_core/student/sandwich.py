"""Computes the losses of the smaller capacities under the sandwich rule.

The rule trains all capacities of a nest together (US-Nets, Yu & Huang 2019). In each step, the
largest capacity learns from the labels or the teacher. The smallest capacity and a random one in
between learn from the outputs of the largest (in-place distillation). Cloud and device use the same
rule. In the cloud, the largest capacity is the whole nest; on a device, it is the largest capacity
that the device holds. After the training, `recalibrate` measures the statistics of the
normalizations again.
"""

import math

import torch

from nestling_core.student.input_rows import InputRows
from nestling_core.student.losses import soft_divergence
from nestling_core.student.network import NestedStudent

TEMPERATURE = 2.0
_RECALIBRATION_BATCH = 512


def smaller_capacities_losses(
    student: NestedStudent,
    inputs: torch.Tensor,
    logits: torch.Tensor,
    largest: int,
    generator: torch.Generator,
) -> list[torch.Tensor]:
    """Return the losses of smaller capacities that learn from the logits of the largest.

    `smaller_capacities` selects the capacities. The logits are detached, so that these losses do
    not train the largest capacity to match the smaller ones.

    Args:
        student: the nested student.
        inputs: the inputs, (N, *shape).
        logits: the logits of the largest capacity for these inputs, (N, classes).
        largest: the capacity that the logits come from.
        generator: the generator that selects the capacity between the smallest and the largest.
    """
    return [
        soft_divergence(student(inputs, capacity), logits.detach(), TEMPERATURE)
        for capacity in smaller_capacities(largest, generator)
    ]


def smaller_capacities(largest: int, generator: torch.Generator) -> list[int]:
    """Return the smallest capacity and a random capacity between the smallest and the largest.

    Args:
        largest: the largest capacity that is trained.
        generator: the source of randomness.

    Returns:
        Two capacities; only capacity 1 if there is no capacity in between, and none if the largest
        is 1.
    """
    if largest == 1:
        return []
    between = list(range(2, largest))
    if not between:
        return [1]
    return [1, between[int(torch.randint(len(between), (1,), generator=generator))]]


@torch.no_grad()
def recalibrate(student: NestedStudent, inputs: InputRows, largest: int | None = None) -> None:
    """Replace the statistics of the normalizations with those of inputs without augmentation.

    During training, the running averages lag behind the weights. They lag most at capacities that
    are trained less often. The new statistics are plain averages over all batches (US-Nets'
    post-statistics). Inputs are often ordered by person or class, and a batch of one kind has too
    little variance. Each batch therefore takes every n-th input, where n is the number of batches.

    Args:
        student: the nested student, which is left in evaluation mode. The momentum of its
            normalizations changes too.
        inputs: the inputs, (N, *shape), of which at most 512 are taken at a time. A single input
            has no variance, so the statistics are then reset to a mean of 0 and a variance of 1.
        largest: the largest capacity to recalibrate, or None for K. All smaller capacities are
            recalibrated too.
    """
    capacities = range(1, (largest or student.config.capacities) + 1)
    norms = [norm for capacity in capacities for norm in student.norms(capacity)]
    for norm in norms:
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
    student.train()
    parts = math.ceil(len(inputs) / _RECALIBRATION_BATCH)
    for step in range(parts if len(inputs) > 1 else 0):  # one input has no variance
        for norm in norms:
            norm.momentum = 1.0 / (step + 1)
        batch = inputs[step::parts].to(student.head.device)
        for capacity in capacities:
            student(batch, capacity)
    student.eval()
