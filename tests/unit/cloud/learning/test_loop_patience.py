"""Training that holds examples out and stops when its patience has run out."""

import pytest
import torch
from torch import nn

from nestling_cloud.learning.loop import seeded, train
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Recipe
from tests.support.line_task import INPUTS, RECIPE, squared_error


def learned_with_patience(scores: list[float], patience: int) -> tuple[nn.Linear, list[float]]:
    """Train with prescribed scores, and record the weight after each epoch."""
    network, weights, left = nn.Linear(1, 1), [], iter(scores)

    def score(part: slice) -> float:
        assert part == slice(11, 12)  # the last tenth of 12, at least one
        weights.append(network.weight.item())
        return next(left)

    train(
        network,
        squared_error(network),
        count=len(INPUTS),
        recipe=Recipe(epochs=6, batch=4, learning_rate=0.05, patience=patience),
        generator=seeded(0),
        progress=SilentProgress(),
        what="line",
        score=score,
    )
    return network, weights


def test_training_stops_when_patience_has_run_out_and_restores_the_best_weights() -> None:
    network, weights = learned_with_patience([0.5, 0.9, 0.8, 0.9, 0.7], patience=3)

    assert len(weights) == 5  # the second was the best, three more were not better
    assert network.weight.item() == weights[1]


def test_patience_holds_one_of_few_examples_out() -> None:
    network, judged = nn.Linear(1, 1), list[slice]()

    def score(part: slice) -> float:
        judged.append(part)
        return 1.0

    train(
        network,
        squared_error(network),
        count=4,
        recipe=Recipe(epochs=3, batch=4, patience=1),
        generator=seeded(0),
        progress=SilentProgress(),
        what="line",
        score=score,
    )

    assert judged == [slice(3, 4)] * 2


def test_without_patience_nothing_is_held_out_and_every_epoch_runs() -> None:
    seen: set[int] = set()
    network = nn.Linear(1, 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        seen.update(indices.tolist())
        return squared_error(network)(indices, epoch)

    train(
        network,
        loss_of,
        count=len(INPUTS),
        recipe=RECIPE,
        generator=seeded(0),
        progress=SilentProgress(),
        what="line",
        score=lambda _part: pytest.fail("asked for a score"),
    )

    assert seen == set(range(12))
