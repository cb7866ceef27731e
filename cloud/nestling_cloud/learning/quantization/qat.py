"""Fine-tunes a nested student with its weights and activations rounded to 8-bit grids.

This is quantization-aware training.

Every capacity uses prefixes of the same rounded weights, with scales that suit the whole tensor.
Gradients pass through the rounding (straight-through estimator, Bengio et al. 2013). Activations
are rounded to each capacity's own grids, whose ranges are moving averages over the batches (Jacob
et al. 2018). The normalization is not folded into the weights, because its gain later becomes part
of the scales and changes no integer.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn.utils import parametrize

from nestling_cloud.learning.loop import BatchLoss, TrainingError, train
from nestling_cloud.learning.quantization.fake_quantization import activations_rounded, fake_round
from nestling_cloud.learning.quantization.grid import grid_between, round_weight, spread
from nestling_cloud.learning.quantization.weight_scales import (
    TensorGrid,
    tensor_grids,
    weight_scales,
)
from nestling_cloud.learning.torch_device import training_device
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.quantization import Quantization, WeightMethod
from nestling_cloud.recipes.recipe import Recipe
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import HEAD_NAME

# Weight of a new batch in a moving range.
_MOMENTUM = 0.05
# Peak learning rate of the fine-tuning, as part of the recipe's.
_LEARNING_RATE = 0.1


class _RoundedWeight(nn.Module):
    """A parametrization that rounds a nested weight to its grid and leaves gradients unchanged."""

    def __init__(self, grid: TensorGrid, method: WeightMethod) -> None:
        super().__init__()
        self._grid = grid
        self._method = method

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        whole = weight.detach().cpu().numpy()
        scale = weight_scales(whole, self._grid, self._method)
        rounded = torch.from_numpy(round_weight(whole, scale) * spread(scale, whole.ndim))
        return weight + (rounded.to(weight.device) - weight).detach()


class _MovingRanges:
    """Rounds activations to grids whose ranges are measured during training.

    The ends of a range are moving averages of the smallest and the largest activation of a batch.
    In evaluation mode, a range stays fixed once it has been measured.
    """

    def __init__(self, student: NestedStudent) -> None:
        self._student = student
        self._ends: dict[tuple[int, int], torch.Tensor] = {}

    def __call__(self, x: torch.Tensor, point: int, capacity: int) -> torch.Tensor:
        place = (point, capacity)
        if self._student.training or place not in self._ends:
            ends = torch.stack(x.detach().aminmax())
            self._ends[place] = torch.lerp(self._ends.get(place, ends), ends, _MOMENTUM)
        low, high = self._ends[place].tolist()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise TrainingError(
                "student on 8-bit grids: activations are no longer finite; try a smaller "
                "learning rate"
            )
        return fake_round(x, grid_between(low, high))


@contextlib.contextmanager
def fake_quantization(student: NestedStudent, quantization: Quantization) -> Iterator[None]:
    """Make a student run with weights and activations rounded to 8-bit grids in the `with` block.

    The stored weights, which an optimizer trains, are not rounded.

    Args:
        student: the student to train or run.
        quantization: the options of the quantization, which set how weights are rounded.
    """
    grids = tensor_grids(student)
    places: list[tuple[nn.Module, str, str]] = [
        (layer, name, layer.plan.tensor_name(name))
        for layer in student.stack
        for name in layer.weights()
    ]
    places.append((student, "head", HEAD_NAME))
    for module, name, tensor in places:
        rounded = _RoundedWeight(grids[tensor], quantization.weights)
        parametrize.register_parametrization(module, name, rounded)
    try:
        with activations_rounded(student, _MovingRanges(student)):
            yield
    finally:
        for module, name, _ in places:
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)


def fine_tune(
    student: NestedStudent,
    loss_of: BatchLoss,
    *,
    count: int,
    recipe: Recipe,
    quantization: Quantization,
    turns: int,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Fine-tune a trained student with its weights and activations rounded to 8-bit grids.

    Measure the normalization statistics again afterwards, as `quantize` does.

    Args:
        student: the trained student, which is changed in place and left in evaluation mode.
        loss_of: the loss that the student was trained with, as a function
            `(indices of a batch, epoch) -> loss`.
        count: the number of examples.
        recipe: the recipe that the student was trained with. Fine-tuning divides its learning rate
            by 10, replaces its number of epochs, and computes in float32.
        quantization: the options of the quantization, whose number of epochs is not 0.
        turns: the factor by which `aware_epochs` is multiplied. It is the number of capacities if
            each step trains only one of them, and otherwise 1.
        generator: the random generator for shuffling.
        progress: the progress display, advanced once per epoch.

    Raises:
        TrainingError: there are too few examples for a batch, or the loss, a weight or an
            activation is no longer finite.
    """
    gentle = replace(
        recipe,
        epochs=quantization.aware_epochs * turns,
        half=False,  # 16-bit numbers cannot represent the grids
        learning_rate=_LEARNING_RATE * recipe.learning_rate,
    )
    with fake_quantization(student, quantization):
        train(
            student,
            loss_of,
            count=count,
            recipe=gentle,
            generator=generator,
            progress=progress,
            what="student on 8-bit grids",
            device=training_device(),
        )
