from collections.abc import Iterable, Iterator
from typing import TypeVar

import pytest
import torch
from torch import nn

from nestling_cloud.learning.loop import (
    BatchLoss,
    TrainingError,
    logits_of,
    precision,
    seeded,
    train,
)
from nestling_cloud.progress import Silent
from nestling_cloud.recipes.recipe import Optimizer
from nestling_cloud.tasks import Recipe
from tests.support.families import FAMILIES, make_family

T = TypeVar("T")
RECIPE = Recipe(epochs=3, batch=4, learning_rate=0.05)
INPUTS = torch.linspace(-1, 1, 12).reshape(12, 1)
TARGETS = 2 * INPUTS + 1


class RecordedProgress:
    """Records the progress that a user would see."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, int, int]] = []  # (what, done, total)

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        for done, item in enumerate(items, start=1):
            yield item
            self.reports.append((what, done, total))


def squared_error(network: nn.Module) -> BatchLoss:
    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        error: torch.Tensor = (network(INPUTS[indices]) - TARGETS[indices]).square().mean()
        return error

    return loss_of


def fitted(seed: int, recipe: Recipe = RECIPE) -> nn.Linear:
    generator = seeded(seed)
    network = nn.Linear(1, 1)
    train(
        network,
        squared_error(network),
        count=len(INPUTS),
        recipe=recipe,
        generator=generator,
        progress=Silent(),
        what="line",
    )
    return network


def test_training_minimizes_the_loss() -> None:
    network = fitted(0, Recipe(epochs=100, batch=4, learning_rate=0.1, weight_decay=0.0))

    assert squared_error(network)(torch.arange(12), 0).item() < 1e-3


def test_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = fitted(3), fitted(3), fitted(4)

    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)
    assert not torch.equal(first.weight, other.weight)


def test_every_epoch_shuffles_all_examples_again() -> None:
    network = nn.Linear(1, 1)
    seen: list[list[int]] = [[], [], []]

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        seen[epoch].extend(indices.tolist())
        return squared_error(network)(indices, epoch)

    train(
        network,
        loss_of,
        count=12,
        recipe=RECIPE,
        generator=torch.Generator().manual_seed(0),
        progress=Silent(),
        what="line",
    )

    assert [sorted(order) for order in seen] == [list(range(12))] * 3
    assert seen[0] != seen[1] != seen[2]


def test_network_is_left_in_evaluation_mode() -> None:
    assert not fitted(0).training


@pytest.mark.parametrize("threads", [1, 2])
def test_network_learns_with_the_threads_of_its_recipe(threads: int) -> None:
    network, seen = nn.Linear(1, 1), set[int]()

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        seen.add(torch.get_num_threads())
        return squared_error(network)(indices, epoch)

    train(
        network,
        loss_of,
        count=len(INPUTS),
        recipe=Recipe(epochs=1, batch=4, threads=threads),
        generator=seeded(0),
        progress=Silent(),
        what="line",
    )

    assert seen == {threads}


def test_fewer_examples_than_a_batch_are_one_batch() -> None:
    network = fitted(0, Recipe(epochs=1, batch=1000))

    assert torch.isfinite(network.weight).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_names_step_and_epoch(bad: float) -> None:
    network = nn.Linear(1, 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        return squared_error(network)(indices, epoch) * (bad if epoch == 1 else 1.0)

    with pytest.raises(TrainingError, match=f"line: the loss is {bad} in epoch 2"):
        train(
            network,
            loss_of,
            count=12,
            recipe=RECIPE,
            generator=torch.Generator(),
            progress=Silent(),
            what="line",
        )


def test_weights_that_are_not_finite_after_the_last_step_are_refused() -> None:
    network = nn.Linear(1, 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        # Finite itself, but its slope at zero is not.
        root: torch.Tensor = (network.weight * 0).abs().sqrt().sum()
        return squared_error(network)(indices, epoch) + root

    with pytest.raises(TrainingError, match="line: not all weights are finite"):
        train(
            network,
            loss_of,
            count=12,
            recipe=Recipe(epochs=1, batch=12),
            generator=torch.Generator(),
            progress=Silent(),
            what="line",
        )


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_network_with_only_kernels_learns(optimizer: Optimizer) -> None:
    network = nn.Conv1d(1, 1, 1, bias=False)
    inputs = torch.linspace(-1, 1, 12).reshape(12, 1, 1)

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        error: torch.Tensor = (network(inputs[indices]) - 2 * inputs[indices]).square().mean()
        return error

    before = loss_of(torch.arange(12), 0).item()
    train(
        network,
        loss_of,
        count=12,
        recipe=Recipe(epochs=40, batch=4, learning_rate=0.1, optimizer=optimizer),
        generator=seeded(0),
        progress=Silent(),
        what="line",
    )

    assert loss_of(torch.arange(12), 0).item() < before / 2


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_examples_are_refused(count: int) -> None:
    network = nn.Linear(1, 1)

    with pytest.raises(TrainingError, match=f"line: {count} examples are too few"):
        train(
            network,
            squared_error(network),
            count=count,
            recipe=RECIPE,
            generator=torch.Generator(),
            progress=Silent(),
            what="line",
        )


def test_progress_reports_every_epoch() -> None:
    network, progress = nn.Linear(1, 1), RecordedProgress()

    train(
        network,
        squared_error(network),
        count=12,
        recipe=RECIPE,
        generator=torch.Generator(),
        progress=progress,
        what="line",
    )

    assert progress.reports == [("line", 1, 3), ("line", 2, 3), ("line", 3, 3)]


def test_logits_of_many_inputs_are_those_of_each_and_carry_no_gradient() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 3)).train()

    logits = logits_of(network, INPUTS, batch=5)

    assert logits.shape == (12, 3)
    assert not logits.requires_grad
    assert torch.allclose(logits, network[1](INPUTS))  # no dropout: evaluation mode


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
        progress=Silent(),
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
        progress=Silent(),
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
        progress=Silent(),
        what="line",
        score=lambda _part: pytest.fail("asked for a score"),
    )

    assert seen == set(range(12))


def test_half_computes_in_16_bits_only_on_processors_that_support_it() -> None:
    supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    matrix = torch.ones(4, 4)

    with precision(Recipe(epochs=1, half=True)):
        half = (matrix @ matrix).dtype
    with precision(Recipe(epochs=1)):
        whole = (matrix @ matrix).dtype

    assert half == (torch.bfloat16 if supported else torch.float32)
    assert whole == torch.float32


@pytest.mark.parametrize("name", FAMILIES)
def test_a_nest_of_every_family_can_be_trained(name: str) -> None:
    made = make_family(name)
    before = {key: value.clone() for key, value in made.student.nested_weights().items()}

    def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        logits: torch.Tensor = made.student(made.tensor[indices], 3)
        return logits.square().mean()

    train(
        made.student,
        loss_of,
        count=len(made.tensor),
        recipe=Recipe(epochs=1, batch=50),
        generator=seeded(0),
        progress=Silent(),
        what="nest",
    )

    after = made.student.nested_weights()
    assert all(not torch.equal(after[key], value) for key, value in before.items())
