"""Fits the estimator, which predicts how likely each option is right once a capacity has run.

The estimator is either a plain rule or the multiplexer's network.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from nestling_cloud.learning.loop import train
from nestling_cloud.learning.routing.correctness_labels import LABEL_PART, success_targets
from nestling_cloud.learning.routing.data import Floats, RoutingData
from nestling_cloud.learning.routing.plain_rules import fit_plain_rule
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_cloud.models.plain_confidence import PlainConfidence, PlainRule
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import Recipe

RECIPE = Recipe(epochs=40, batch=256, learning_rate=3e-3, weight_decay=0.3, threads=1)
# Fewer steps leave the network's predictions close to those of its random initial weights.
_FEWEST_STEPS = 600

Estimator = Multiplexer | PlainConfidence


@dataclass(frozen=True, kw_only=True)
class Design:
    """The choice of an estimator, of its inputs and of its training targets.

    Attributes:
        rule: "network" for the multiplexer's network, or the name of a plain rule.
        knows_classes: whether the network sees the probability of each class in addition to the
            largest probabilities.
        label_part: the weight of the labels in the targets. The teacher's probabilities have the
            weight `1 - label_part`.
    """

    rule: Literal["network"] | PlainRule = "network"
    knows_classes: bool = False
    label_part: float = LABEL_PART


PLAIN = Design(rule="max-softmax")
"""The rule of single-label tasks that is used unless another one proves better."""


def fit_multiplexer(
    data: RoutingData,
    *,
    seed: int,
    progress: Progress,
    design: Design,
    recipe: Recipe = RECIPE,
) -> Estimator:
    """Return an estimator fitted on inputs that neither teacher nor student trained on.

    A network is trained for at least 600 steps, however few the inputs are.

    Args:
        data: the outputs of every option for these inputs.
        seed: the random seed for initial weights, dropout and shuffling. It is also set as torch's
            global seed.
        progress: the progress display, advanced once per epoch of a network.
        design: the choice of rule, inputs and targets, for example by `choose_design`.
        recipe: the options of a network's training, such as the number of epochs.

    Raises:
        TrainingError: there are too few inputs, or the loss or a weight is no longer finite.
    """
    if design.rule != "network":
        return fit_plain_rule(data, design.rule, design.label_part)
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

    batches = max(1, len(logits) // recipe.batch)
    epochs = max(recipe.epochs, math.ceil(_FEWEST_STEPS / batches))
    train(
        multiplexer,
        loss_of,
        count=len(logits),
        recipe=dataclasses.replace(recipe, epochs=epochs),
        generator=generator,
        progress=progress,
        what="multiplexer",
    )
    return multiplexer


@torch.no_grad()
def beliefs(estimator: Estimator, data: RoutingData) -> Floats:
    """Return the predicted success probability of each option, after each capacity has run.

    Args:
        estimator: the fitted estimator.
        data: the outputs of every option for some inputs.

    Returns:
        The success probabilities, (K, N, K + 1). The axes are the capacity that has run, the input,
        and the option. The cloud is the last option.
    """
    found = [
        estimator(torch.from_numpy(logits), torch.full((len(logits),), ran)).numpy()
        for ran, logits in enumerate(data.logits)
    ]
    return np.stack(found)
