"""Fit the multiplexer: it predicts which options are right once a capacity has run."""

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
    """The inputs of a multiplexer and its training targets.

    Attributes:
        knows_classes: the multiplexer sees the probability of each class, not only the largest
            ones.
        label_part: weight of the labels in its targets; the teacher's probabilities have the rest.
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
    """Fit a multiplexer on inputs that the models did not train on.

    Args:
        data: outputs of every option for those inputs.
        seed: for initial weights and shuffling.
        progress: shows each epoch.
        design: inputs and targets of the multiplexer; `choose_design` finds the best one.
        recipe: epochs and learning rate.

    Raises:
        TrainingError: there are too few inputs.
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
    """Predict how probable it is that each option is right, once each capacity has run.

    Args:
        multiplexer: the fitted multiplexer.
        data: outputs of every option.

    Returns:
        Success probabilities, (K, N, K + 1): the first axis is the capacity that ran, the last one
        the option.
    """
    found = [
        multiplexer(torch.from_numpy(logits), torch.full((len(logits),), ran)).numpy()
        for ran, logits in enumerate(data.logits)
    ]
    return np.stack(found)
