"""Fits the multiplexer: what tells who is right, once a capacity has run."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from nestling_cloud.learning.loop import train
from nestling_cloud.learning.routing.correctness_labels import LABEL_PART, success_targets
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import Recipe

RECIPE = Recipe(epochs=40, batch=256, learning_rate=3e-3, weight_decay=0.3, threads=1)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a multiplexer looks at, and what it is taught.

    Attributes:
        knows_classes: it looks at which class has which probability, not only at the largest.
        label_part: of the targets that the labels say; the teacher's belief says the rest.
    """

    knows_classes: bool = False
    label_part: float = LABEL_PART


DEFAULT = Design()


def fit_multiplexer(
    data: RoutingData,
    *,
    seed: int,
    progress: Progress,
    design: Design = DEFAULT,
    recipe: Recipe = RECIPE,
) -> Multiplexer:
    """Fit what tells who is right, on inputs that the models did not train on.

    Args:
        data: what every option made of those inputs.
        seed: initial weights and shuffling.
        progress: told every epoch.
        design: what it looks at, and what it is taught; `choose_design` finds it.
        recipe: epochs and step sizes.

    Raises:
        TrainingError: too few inputs.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    capacities, count, classes = data.logits.shape
    multiplexer = Multiplexer(classes, capacities, knows_classes=design.knows_classes)
    logits = torch.from_numpy(data.logits.reshape(-1, classes))
    ran = torch.arange(capacities).repeat_interleave(count)
    taught = success_targets(data, label_part=design.label_part)
    targets = torch.from_numpy(taught).repeat(capacities, 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        believed = multiplexer(logits[indices], ran[indices])
        return functional.binary_cross_entropy(believed, targets[indices])

    train(
        multiplexer,
        loss_of,
        count=len(logits),
        recipe=recipe,
        generator=generator,
        progress=progress,
        what="multiplexer",
    )
    return multiplexer


@torch.no_grad()
def beliefs(multiplexer: Multiplexer, data: RoutingData) -> Floats:
    """What each option is believed to be good for, once each capacity has run.

    Returns:
        Probabilities to be right, (K, N, K + 1): first the capacity that ran, last the option.
    """
    found = [
        multiplexer(torch.from_numpy(logits), torch.full((len(logits),), ran)).numpy()
        for ran, logits in enumerate(data.logits)
    ]
    return np.stack(found)
