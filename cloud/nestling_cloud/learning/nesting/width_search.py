"""Searches for capacities (sizes of a student) in which each layer has its own width.

Without a search, a capacity uses the same share of every layer's channels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.input_tensors import fit_normalizer
from nestling_cloud.learning.loop import train
from nestling_cloud.learning.nesting.search_space import random_widths, smallest_widths, units
from nestling_cloud.learning.nesting.slimming import (
    Measure,
    PathPoint,
    check_targets,
    choose,
    ladder,
    slim,
)
from nestling_cloud.learning.nesting.supernet import Supernet, supernet_loss
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.nesting.width_cost import CostOf, Widths
from nestling_cloud.learning.torch_device import device_of, training_device
from nestling_cloud.recipes.nesting import NestingError
from nestling_core.student.config import StudentConfig


@dataclass(frozen=True, kw_only=True)
class WidthSearch:
    """The settings of a search for capacities.

    Attributes:
        targets: the highest cost allowed for each capacity, as a share of the largest capacity's
            cost. The shares rise to 1.
        measure: the kind of cost that counts.
        step: the share of its remaining channels that a layer loses in a step.
        floor: the smallest width of a layer, as a share of the width that it has after all layers
            are narrowed evenly until the student meets the smallest target.
        random_widths: the number of sets of random widths in each training step of the supernet, in
            addition to the largest and the smallest widths.
        held_out: the share of each class that is kept out of the supernet's training, to score
            widths on. It consists of the last inputs of the class.
        judged: the largest number of held-out inputs to score widths on. The normalization
            statistics are measured on at most the same number of other inputs.
    """

    targets: tuple[float, ...] = (0.1, 0.3, 0.6, 1.0)
    measure: Measure = "bytes"
    step: float = 0.125
    floor: float = 0.5
    random_widths: int = 2
    held_out: float = 0.2
    judged: int = 1024

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            NestingError: the targets do not rise strictly from above 0 to 1, or a value is outside
                its range.
        """
        check_targets(self.targets)
        if self.random_widths < 0 or self.judged < 2:
            raise NestingError(f"{self}: random_widths must be at least 0, judged at least 2")
        if not 0 < self.step < 1 or not 0 < self.floor <= 1 or not 0 < self.held_out < 1:
            raise NestingError(f"{self}: step, floor and held_out must lie between 0 and 1")

    def smallest(self, config: StudentConfig, cost: CostOf) -> Widths:
        """Return the smallest widths that the search may give to the layers.

        Args:
            config: the sizes of a student that has only convolutions.
            cost: the function that returns the cost of given widths.

        Raises:
            NestingError: the student costs more than the smallest target even after all layers are
                narrowed evenly as far as possible.
        """
        return smallest_widths(
            config, cost, target=self.targets[0], measure=self.measure, floor=self.floor
        )


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The result of a search for capacities.

    Attributes:
        config: the student's sizes, with one capacity for each target of the search.
        path: the points on the path of the search, the largest first.
    """

    config: StudentConfig
    path: tuple[PathPoint, ...]


def search_widths(training_set: TrainingSet, cost: CostOf, search: WidthSearch) -> SearchResult:
    """Return the widths of the capacities that meet the targets of a search.

    The function trains a supernet, which is a student that runs at any widths, and narrows it
    greedily (AutoSlim, Yu & Huang 2019).

    Args:
        training_set: the training data of the task, which sets the student's blocks and recipe.
        cost: the function that returns the cost of given widths.
        search: the settings of the search.

    Raises:
        NestingError: the student has recurrent or shuffle blocks, there is no example to score
            widths on, or the search cannot meet its targets.
        TrainingError: the data is too small, or the loss or a weight is no longer finite.
    """
    student, labels = training_set.task.student, training_set.views.labels.numpy()
    supernet = Supernet(training_set.task.signature, student)
    fit_normalizer(supernet.normalizer, training_set.train_inputs)
    held = held_out(labels, search.held_out)
    if not held.any():
        raise NestingError(
            f"no class has an example to score widths on, with held_out {search.held_out:g}: give "
            "more examples"
        )
    smallest = search.smallest(student, cost)
    _train(supernet, training_set, np.flatnonzero(~held), smallest, search.random_widths)
    ladders = [
        ladder(whole, unit=unit, least=least, step=search.step)
        for whole, unit, least in zip(student.whole, units(student), smallest, strict=True)
    ]
    accuracy = _judge(supernet, training_set, held, search.judged)
    points = slim(ladders, accuracy=accuracy, cost=cost, measure=search.measure)
    count = 1 + sum(len(widths) - 1 for widths in ladders)
    path = tuple(training_set.progress.track(points, count, "slimming the supernet"))
    rows = tuple(point.widths for point in choose(path, search.targets, search.measure))
    return SearchResult(config=replace(student, widths=rows), path=path)


def held_out(labels: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Return a mask (N,) of the held-out inputs, which are the last inputs of each class.

    Args:
        labels: the class index of each input, (N,).
        share: the share of each class that is held out, 0 to 1, rounded down to whole inputs.
    """
    held = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held[members[len(members) - int(len(members) * share) :]] = True
    return held


def _train(
    supernet: Supernet,
    training_set: TrainingSet,
    kept: NDArray[np.intp],
    smallest: Widths,
    drawings: int,
) -> None:
    views, student, places = training_set.views, training_set.task.student, torch.from_numpy(kept)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        drawn = [random_widths(student, smallest, training_set.generator) for _ in range(drawings)]
        return supernet_loss(
            supernet,
            views.batch(epoch, places[indices], device_of(supernet)),
            views.distillation,
            [student.whole, smallest, *drawn],
        )

    train(
        supernet,
        loss_of,
        count=len(kept),
        recipe=training_set.task.student_recipe,
        generator=training_set.generator,
        progress=training_set.progress,
        what="supernet",
        device=training_device(),
    )


def _judge(
    supernet: Supernet, training_set: TrainingSet, held: NDArray[np.bool_], count: int
) -> Callable[[Widths], float]:
    """Return a function that measures the supernet's accuracy on held-out inputs at given widths.

    The normalization statistics are measured on inputs that are not held out. The function uses at
    most `count` held-out inputs, and at most as many others.
    """
    learned, unseen = (_spread(np.flatnonzero(part), count) for part in (~held, held))
    inputs = torch.from_numpy(training_set.train_inputs[np.concatenate([learned, unseen])])
    labels = training_set.views.labels[torch.from_numpy(unseen)]

    @torch.no_grad()
    def accuracy(widths: Widths) -> float:
        logits = supernet(inputs, widths, len(learned))[len(learned) :]
        return float((logits.argmax(1) == labels).double().mean())

    return accuracy


def _spread(indices: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return at most `count` evenly spaced entries of the indices."""
    return indices[:: -(-len(indices) // count)] if len(indices) > count else indices
