"""Train a network: the loop that teachers, students and multiplexers share."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.errors import CloudError
from nestling_cloud.learning.muon import Muon
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import TRAINING_THREADS, Recipe

# Share of the training data, taken from its end, that early stopping is scored on.
HELD_OUT = 0.1
# Axes of a matrix; weights of convolutions and recurrent layers have more.
_MATRIX = 2

BatchLoss = Callable[[torch.Tensor, int], torch.Tensor]


class TrainingError(CloudError):
    """A network cannot learn from the given data."""


def seeded(seed: int) -> torch.Generator:
    """Make training repeatable: set threads and seeds, and return a generator for the rest."""
    torch.set_num_threads(TRAINING_THREADS)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def train(
    network: nn.Module,
    loss_of: BatchLoss,
    *,
    count: int,
    recipe: Recipe,
    generator: torch.Generator,
    progress: Progress,
    what: str,
    score: Callable[[slice], float] | None = None,
) -> None:
    """Minimize a loss with the recipe's optimizer and a one-cycle rate (Smith & Topin 2019).

    Args:
        network: trained in place, left in evaluation mode.
        loss_of: `(indices of a batch, epoch) -> loss`.
        count: number of examples.
        recipe: epochs, batch size, learning rate, early stopping.
        generator: for shuffling.
        progress: shows each epoch.
        what: name of the step, for progress and errors.
        score: `(slice of the examples) -> score of the network`, higher is better, for early
            stopping; without it training runs for all epochs.

    Raises:
        TrainingError: too few examples for a batch, or loss or weights are no longer finite.
    """
    torch.set_num_threads(recipe.threads)
    for parameter in network.parameters():
        parameter.data = with_channels_last(parameter.data, network)
    best = _BestWeights(network, recipe.patience, count, score)
    learned = best.border
    if learned < 2:
        raise TrainingError(f"{what}: {count} examples are too few to learn from; give more")
    batch = min(recipe.batch, learned)
    optimizers = _optimizers(network, recipe)
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            one,
            recipe.learning_rate,
            total_steps=recipe.epochs * (learned // batch),
            cycle_momentum="betas" in one.defaults,
        )
        for one in optimizers
    ]
    for epoch in progress.track(range(recipe.epochs), recipe.epochs, what):
        network.train()
        for indices in _batches(learned, batch, generator):
            with precision(recipe):
                loss = loss_of(indices, epoch)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"{what}: the loss is {loss.item()} in epoch {epoch + 1}; try a smaller "
                    "learning rate"
                )
            network.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
        network.eval()
        if best.is_over():
            break
    best.restore()
    if not all(torch.isfinite(weight).all() for weight in network.parameters()):
        raise TrainingError(
            f"{what}: not all weights are finite after the last step; try a smaller learning rate"
        )


def _optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Use AdamW for all weights, or Muon for those of three or more axes, AdamW for the rest."""
    weights = list(network.parameters())
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return [torch.optim.AdamW(weights, lr=rate, weight_decay=decay)]
    kernels = [weight for weight in weights if weight.ndim > _MATRIX]
    others = [weight for weight in weights if weight.ndim <= _MATRIX]
    made: list[torch.optim.Optimizer] = []
    if kernels:
        made.append(Muon(kernels, lr=rate, weight_decay=decay))
    if others:
        made.append(torch.optim.AdamW(others, lr=rate, weight_decay=decay))
    return made


def precision(recipe: Recipe) -> contextlib.AbstractContextManager[object]:
    """Return a context that computes in bfloat16 if the recipe asks and the processor can."""
    if recipe.half and torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001  # no other way
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def with_channels_last(inputs: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """Store images, or their kernels, with channels last in memory, which speeds up convolutions.

    This is done only for a network that has, or contains a module that has, `channels_last = True`:
    another one may depend on the order in memory, as `Tensor.view` does.

    Args:
        inputs: images (N, C, H, W); arrays of another rank are returned as they are.
        network: the network that they are for.
    """
    if inputs.ndim != 4:  # a grouped kernel has five axes until it runs
        return inputs
    if not any(getattr(module, "channels_last", False) for module in network.modules()):
        return inputs
    return inputs.contiguous(memory_format=torch.channels_last)


@dataclass
class _BestWeights:
    """Early stopping: keeps the best weights so far, by a score on held-out examples."""

    network: nn.Module
    patience: int
    count: int
    score: Callable[[slice], float] | None
    _best: float = float("-inf")
    _waited: int = 0
    _state: dict[str, torch.Tensor] | None = None

    @property
    def border(self) -> int:
        """Number of examples to train on; the rest are held out."""
        watches = self.patience and self.score is not None
        return self.count - max(1, round(self.count * HELD_OUT)) if watches else self.count

    def is_over(self) -> bool:
        """Score the network after an epoch; return whether patience has run out."""
        if not self.patience or self.score is None:
            return False
        found = self.score(slice(self.border, self.count))
        if found > self._best:
            self._best, self._waited = found, 0
            self._state = copy.deepcopy(self.network.state_dict())
            return False
        self._waited += 1
        return self._waited >= self.patience

    def restore(self) -> None:
        """Restore the best weights."""
        if self._state is not None:
            self.network.load_state_dict(self._state)


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch]


@torch.no_grad()
def logits_of(network: nn.Module, inputs: torch.Tensor, batch: int = 128) -> torch.Tensor:
    """Return the logits of many inputs, (N, classes), in evaluation mode and without gradients.

    Args:
        network: set to evaluation mode.
        inputs: (N, *shape).
        batch: inputs per forward pass.
    """
    network.eval()
    parts = torch.split(inputs, batch)
    return torch.cat([network(with_channels_last(part, network)) for part in parts])
