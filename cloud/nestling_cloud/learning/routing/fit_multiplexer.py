"""Fits the multiplexer, which predicts how likely each option is right once a capacity has run."""

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
    """The choice of a multiplexer's inputs and training targets.

    Attributes:
        knows_classes: whether the multiplexer sees the probability of each class in addition to the
            largest probabilities.
        label_part: the weight of the labels in the targets. The teacher's probabilities have the
            weight `1 - label_part`.
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
    """Return a multiplexer fitted on inputs that neither teacher nor student trained on.

    Args:
        data: the outputs of every option for these inputs.
        seed: the random seed for initial weights, dropout and shuffling. It is also set as torch's
            global seed.
        progress: the progress display, advanced once per epoch.
        design: the choice of the multiplexer's inputs and targets, for example by `choose_design`.
        recipe: the options of the training, such as the number of epochs.

    Raises:
        TrainingError: there are too few inputs, or the loss or a weight is no longer finite.
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
    """Return the predicted success probability of each option, after each capacity has run.

    Args:
        multiplexer: the fitted multiplexer.
        data: the outputs of every option for some inputs.

    Returns:
        The success probabilities, (K, N, K + 1). The axes are the capacity that has run, the input,
        and the option. The cloud is the last option.
    """
    found = [
        multiplexer(torch.from_numpy(logits), torch.full((len(logits),), ran)).numpy()
        for ran, logits in enumerate(data.logits)
    ]
    return np.stack(found)
