"""Training every capacity of a nest at once: sandwich rule and in-place distillation.

US-Nets (Yu & Huang 2019): each step trains the largest capacity on its target, the smallest and
one in between on the largest. The same rule serves the cloud, where the largest is the whole nest,
and a device, where it is the largest that the device holds.
"""

import math

import torch

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
    """Losses of the smaller capacities on what the largest says, which does not learn from it.

    Args:
        student: the nest.
        inputs: (N, *shape).
        logits: of the largest capacity for these inputs, (N, classes).
        largest: capacity that they are of.
        generator: picks the capacity between smallest and largest.
    """
    return [
        soft_divergence(student(inputs, capacity), logits.detach(), TEMPERATURE)
        for capacity in smaller_capacities(largest, generator)
    ]


def smaller_capacities(largest: int, generator: torch.Generator) -> list[int]:
    """The smallest capacity and one at random between it and the largest, if there are any."""
    if largest == 1:
        return []
    between = list(range(2, largest))
    if not between:
        return [1]
    return [1, between[int(torch.randint(len(between), (1,), generator=generator))]]


@torch.no_grad()
def recalibrate(student: NestedStudent, inputs: torch.Tensor, largest: int | None = None) -> None:
    """Measure the capacities' normalisation statistics again on un-augmented inputs.

    The running averages of training lag behind the weights, and less often trained capacities lag
    more (US-Nets' post-statistics). A cumulative average has no lag. Inputs come in the order in
    which they were recorded, one person or class after the other, so they are dealt out into parts
    that are each like the whole: within a part of one kind of input there is too little variance.

    Args:
        student: left in evaluation mode.
        inputs: (N, *shape).
        largest: capacities 1 to this one; by default all.
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
        for capacity in capacities:
            student(inputs[step::parts], capacity)
    student.eval()
