from collections.abc import Iterable, Iterator
from typing import TypeVar

import pytest
import torch
from torch import nn

from nestling_cloud.learning.loop import TrainingError, logits_of, precision, seeded, train
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.recipe import Optimizer
from nestling_cloud.tasks import Recipe
from tests.support.families import FAMILIES, make_family
from tests.support.line_task import INPUTS, RECIPE, squared_error

T = TypeVar("T")


class RecordedProgress:
    """Records the progress that a user would see."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, int, int]] = []  # (what, done, total)

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        for done, item in enumerate(items, start=1):
            yield item
            self.reports.append((what, done, total))


def fitted(seed: int, recipe: Recipe = RECIPE) -> nn.Linear:
    generator = seeded(seed)
    network = nn.Linear(1, 1)
    train(
        network,
        squared_error(network),
        count=len(INPUTS),
        recipe=recipe,
        generator=generator,
        progress=SilentProgress(),
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
        progress=SilentProgress(),
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
        progress=SilentProgress(),
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
            progress=SilentProgress(),
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
            progress=SilentProgress(),
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
        progress=SilentProgress(),
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
            progress=SilentProgress(),
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
        progress=SilentProgress(),
        what="nest",
    )

    after = made.student.nested_weights()
    assert all(not torch.equal(after[key], value) for key, value in before.items())
