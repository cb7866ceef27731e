"""Fits what tells who is right: the multiplexer before a student runs, the accept head after."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.router import AcceptHead, Multiplexer
from nestling_cloud.progress import Progress, Silent
from nestling_cloud.recipes.recipe import Recipe
from nestling_cloud.routing.data import Floats, RoutingData
from nestling_cloud.routing.targets import LABEL_PART, success_targets
from nestling_cloud.training import train

MULTIPLEXER_RECIPE = Recipe(epochs=12, batch=128, learning_rate=3e-3, weight_decay=0.05)
ACCEPT_RECIPE = Recipe(epochs=40, batch=256, learning_rate=2e-3, weight_decay=0.3)


@dataclass(frozen=True, kw_only=True)
class Router:
    """A fitted multiplexer and accept head."""

    multiplexer: Multiplexer
    accept_head: AcceptHead


def fit_router(
    signature: Signature,
    data: RoutingData,
    *,
    seed: int,
    progress: Progress,
    label_part: float = LABEL_PART,
) -> Router:
    """Fit what tells who is right, on inputs that the models did not train on.

    Args:
        signature: the task's inputs and classes.
        data: what every option made of those inputs.
        seed: initial weights and shuffling.
        progress: told every epoch.
        label_part: of the targets that the labels say; the teacher's belief says the rest.

    Returns:
        A router whose multiplexer knows nothing of budgets yet: see `fit_affordable`.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    targets = torch.from_numpy(success_targets(data, label_part=label_part))
    multiplexer = _fit_multiplexer(signature, data.inputs, targets, generator, progress)
    believed = _out_of_fold(signature, data.inputs, targets, generator)
    accept_head = _fit_accept_head(data, believed, targets, generator, progress)
    return Router(multiplexer=multiplexer, accept_head=accept_head)


@torch.no_grad()
def believed_right(multiplexer: Multiplexer, inputs: Floats) -> Floats:
    """Multiplexer's probability that each option is right, (N, K + 1)."""
    found: Floats = multiplexer.right(torch.from_numpy(inputs)).numpy()
    return found


@torch.no_grad()
def acceptance(accept_head: nn.Module, logits: Floats, believed: Floats, capacity: int) -> Floats:
    """Accept head's probability that each option is right, after one capacity ran, (N, K + 1).

    Args:
        accept_head: fitted.
        logits: of the capacity that ran, (N, classes).
        believed: what the multiplexer said, (N, K + 1).
        capacity: 1 to K.
    """
    chosen = np.zeros((len(logits), believed.shape[1] - 1), np.float32)
    chosen[:, capacity - 1] = 1
    found: Floats = accept_head(
        torch.from_numpy(logits), torch.from_numpy(believed), torch.from_numpy(chosen)
    ).numpy()
    return found


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """Success probabilities of all options.

    Attributes:
        before: a student runs, (N, K + 1).
        after: each capacity ran, (K, N, K + 1).
    """

    before: Floats
    after: Floats


def beliefs(router: Router, data: RoutingData) -> Beliefs:
    """What a router believes of inputs, before and after each capacity runs."""
    before = believed_right(router.multiplexer, data.inputs)
    after = [
        acceptance(router.accept_head, logits, before, capacity)
        for capacity, logits in enumerate(data.logits, start=1)
    ]
    return Beliefs(before=before, after=np.stack(after))


def _out_of_fold(
    signature: Signature, inputs: Floats, targets: torch.Tensor, generator: torch.Generator
) -> Floats:
    """What a multiplexer says of inputs that it was not fitted on, (N, K + 1).

    Of its own inputs it is surer than of those that come to a device, and the accept head would
    learn to trust it too much. Two halves each fit one for the other.
    """
    halves = np.array_split(np.arange(len(inputs)), 2)
    found = np.empty(tuple(targets.shape), np.float32)
    for half, other in (halves, halves[::-1]):
        multiplexer = _fit_multiplexer(
            signature, inputs[other], targets[torch.from_numpy(other)], generator, Silent()
        )
        found[half] = believed_right(multiplexer, inputs[half])
    return found


def _fit_multiplexer(
    signature: Signature,
    inputs: Floats,
    targets: torch.Tensor,
    generator: torch.Generator,
    progress: Progress,
) -> Multiplexer:
    multiplexer = Multiplexer(signature, targets.shape[1] - 1)
    multiplexer.normalizer.fit(inputs)
    seen = torch.from_numpy(inputs)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        return functional.binary_cross_entropy(multiplexer.right(seen[indices]), targets[indices])

    train(
        multiplexer,
        loss_of,
        count=len(seen),
        recipe=MULTIPLEXER_RECIPE,
        generator=generator,
        progress=progress,
        what="multiplexer",
    )
    return multiplexer


def _fit_accept_head(
    data: RoutingData,
    believed: Floats,
    targets: torch.Tensor,
    generator: torch.Generator,
    progress: Progress,
) -> AcceptHead:
    capacities, count, classes = data.logits.shape
    accept_head = AcceptHead(classes, capacities)
    logits = torch.from_numpy(data.logits.reshape(-1, classes))
    prior = torch.from_numpy(believed).repeat(capacities, 1)
    chosen = torch.eye(capacities).repeat_interleave(count, dim=0)
    target = targets.repeat(capacities, 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        probabilities = accept_head(logits[indices], prior[indices], chosen[indices])
        return functional.binary_cross_entropy(probabilities, target[indices])

    train(
        accept_head,
        loss_of,
        count=len(logits),
        recipe=ACCEPT_RECIPE,
        generator=generator,
        progress=progress,
        what="accept head",
    )
    return accept_head
