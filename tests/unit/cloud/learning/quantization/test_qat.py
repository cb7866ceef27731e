"""Training a student on the grids that it will be rounded to."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from nestling_cloud.learning.loop import TrainingError
from nestling_cloud.learning.quantization import fake_quantization, fine_tune, quantize
from nestling_cloud.learning.quantization.fake_quantization import fake_round
from nestling_cloud.learning.quantization.grid import grid_between
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.quantization import Quantization
from nestling_cloud.tasks import Recipe
from tests.support.families import CAPACITIES, FAMILIES, Family, make_family

RECIPE = Recipe(epochs=30, batch=50, learning_rate=3e-2)
GRIDS = Quantization(aware_epochs=2)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("weights", ["peak", "mse"])
def test_weights_in_the_context_are_those_that_a_device_gets(name: str, weights: str) -> None:
    family = make_family(name)
    choice = Quantization(weights=weights)  # type: ignore[arg-type]  # pytest gives a string

    with fake_quantization(family.student, choice):
        within = {n: w.detach().clone() for n, w in family.student.nested_weights().items()}

    quantize(family.student, family.inputs, choice)
    for tensor, weight in family.student.nested_weights().items():
        assert torch.equal(within[tensor], weight)


@torch.no_grad()
def test_student_is_unchanged_after_the_context() -> None:
    family = make_family("gru")
    before = copy.deepcopy(family.student.state_dict())
    answers = family.student(family.tensor, 2)

    with fake_quantization(family.student, GRIDS):
        assert not torch.equal(family.student(family.tensor, 2), answers)

    assert before.keys() == family.student.state_dict().keys()
    assert torch.equal(family.student(family.tensor, 2), answers)


def test_gradients_pass_the_rounding_to_every_nested_weight() -> None:
    family = make_family("shuffle-window")

    with fake_quantization(family.student, GRIDS):
        family.student(family.tensor, CAPACITIES[-1]).square().sum().backward()

    for weight in family.student.nested_weights().values():
        assert weight.grad is not None
        assert weight.grad.any()


def test_gradients_are_zero_outside_the_grid() -> None:
    x = torch.tensor([-0.5, 0.3, 2.0], requires_grad=True)

    (gradient,) = torch.autograd.grad(fake_round(x, grid_between(0.0, 1.0)).sum(), x)

    assert gradient.tolist() == [0.0, 1.0, 0.0]


def loss(family: Family) -> torch.Tensor:
    labels = torch.arange(len(family.inputs)) % len(family.signature.classes)
    logits = [family.student(family.tensor, capacity) for capacity in CAPACITIES]
    return torch.stack([functional.cross_entropy(x, labels) for x in logits]).mean()


def tuned(epochs: int, *, turns: int = 1, seen: list[int] | None = None) -> Family:
    family = make_family("conv-window")

    def loss_of(_indices: torch.Tensor, epoch: int) -> torch.Tensor:
        if seen is not None:
            seen.append(epoch)
        found = loss(family)
        assert found.dtype == torch.float32
        return found

    fine_tune(
        family.student,
        loss_of,
        count=len(family.inputs),
        recipe=replace(RECIPE, half=True),  # `fine_tune` turns it off: grids need 32 bits
        quantization=Quantization(aware_epochs=epochs),
        turns=turns,
        generator=torch.Generator().manual_seed(0),
        progress=SilentProgress(),
    )
    return family


def test_fine_tuning_lowers_the_loss_and_is_repeatable() -> None:
    first, second = tuned(10), tuned(10)

    assert loss(first) < loss(make_family("conv-window"))
    for one, other in zip(first.student.parameters(), second.student.parameters(), strict=True):
        assert torch.equal(one, other)


def test_each_capacity_in_turns_sees_the_data_for_all_epochs() -> None:
    seen: list[int] = []

    tuned(2, turns=3, seen=seen)

    assert set(seen) == set(range(6))


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_activations_that_are_not_finite_give_a_readable_error(bad: float) -> None:
    family = make_family("conv-window")
    family.student.normalizer.mean.fill_(bad)

    with (
        fake_quantization(family.student.train(), GRIDS),
        pytest.raises(TrainingError, match="no longer finite; try a smaller learning rate"),
    ):
        family.student(family.tensor, CAPACITIES[-1])
