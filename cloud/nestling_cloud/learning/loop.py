"""Contains the training loop that teachers, students and multiplexers share."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.errors import CloudError
from nestling_cloud.learning.input_tensors import split
from nestling_cloud.learning.muon import Muon
from nestling_cloud.learning.torch_device import CPU, device_of, make_deterministic, placed
from nestling_cloud.progress import Progress
from nestling_cloud.recipes.recipe import TRAINING_THREADS, Recipe
from nestling_core.student.input_rows import InputRows

# Share of the training data, taken from its end, that early stopping is scored on.
HELD_OUT = 0.1
# Axes of a matrix; weights of convolutions and recurrent layers have more.
_MATRIX = 2

BatchLoss = Callable[[torch.Tensor, int], torch.Tensor]


class TrainingError(CloudError):
    """Raised when a network cannot be trained, for example because its loss is no longer finite."""


def seeded(seed: int) -> torch.Generator:
    """Return a seeded random generator, after making torch deterministic.

    The function sets torch's number of threads and global seed, and turns on torch's deterministic
    algorithms.
    """
    torch.set_num_threads(TRAINING_THREADS)
    make_deterministic()
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
    device: torch.device = CPU,
) -> None:
    """Train a network by minimizing a loss with the recipe's optimizer.

    The learning rate rises once and falls once (one cycle, Smith & Topin 2019). Each epoch shuffles
    the examples and drops an incomplete last batch. The recipe also sets torch's number of threads.

    Args:
        network: the network, which is trained in place and left in evaluation mode.
        loss_of: the function `(indices of a batch, epoch) -> loss`.
        count: the number of examples.
        recipe: the options of the training, such as epochs, batch size and learning rate.
        generator: the random generator for shuffling.
        progress: the progress display, advanced once per epoch.
        what: the name of the training in the progress display and in error messages.
        score: the function `(slice of the examples) -> score of the network` for early stopping,
            where a higher score is better. It is called after every epoch with the last tenth of
            the examples, on which the network is not trained. The network ends up with the weights
            that had the best score. Without a score function, or if the recipe's patience is 0,
            the network is trained on all examples for all epochs.
        device: the device to train on, usually `torch_device.training_device()`. The network is
            moved there for the training. The loss function has to move its batches.

    Raises:
        TrainingError: there are too few examples for a batch, or the loss or a weight is no longer
            finite.
    """
    torch.set_num_threads(recipe.threads)
    with placed(network, device):
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
                with precision(recipe, device):
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
                f"{what}: not all weights are finite after the last step; try a smaller "
                "learning rate"
            )


def _optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return AdamW, or Muon for the weights with three or more axes and AdamW for the others."""
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


def precision(
    recipe: Recipe, device: torch.device = CPU
) -> contextlib.AbstractContextManager[object]:
    """Return a context in which torch autocasts to bfloat16 if the recipe asks for it.

    On a device without instructions for bfloat16, the context changes nothing.

    Args:
        recipe: the options of the training.
        device: the device that computes.
    """
    if recipe.half and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    if recipe.half and device == CPU and torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001  # no other way
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def with_channels_last(inputs: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """Return images, or the kernels of convolutions, with the channels last in memory.

    This speeds up convolutions. The memory layout is changed only if a module of the network has
    `channels_last = True`. Other networks may depend on the layout, for example because they call
    `Tensor.view`.

    Args:
        inputs: images (N, C, H, W) or kernels with four axes. Tensors with another number of axes
            are returned unchanged.
        network: the network that uses the images or kernels.
    """
    if inputs.ndim != 4:  # a grouped kernel has five axes until it runs
        return inputs
    if not any(getattr(module, "channels_last", False) for module in network.modules()):
        return inputs
    return inputs.contiguous(memory_format=torch.channels_last)


@dataclass
class _BestWeights:
    """The best weights of a network so far, judged by a score on held-out examples."""

    network: nn.Module
    patience: int
    count: int
    score: Callable[[slice], float] | None
    _best: float = float("-inf")
    _waited: int = 0
    _state: dict[str, torch.Tensor] | None = None

    @property
    def border(self) -> int:
        """The number of examples to train on; the examples after them are held out."""
        watches = self.patience and self.score is not None
        return self.count - max(1, round(self.count * HELD_OUT)) if watches else self.count

    def is_over(self) -> bool:
        """Score the network after an epoch and return whether to stop the training.

        The weights are copied if their score is the best so far. If the patience is 0 or there is
        no score function, nothing is scored and the training continues.
        """
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
        """Load the best weights into the network, if any were scored."""
        if self._state is not None:
            self.network.load_state_dict(self._state)


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch]


@torch.no_grad()
def logits_of(network: nn.Module, inputs: InputRows, batch: int = 128) -> torch.Tensor:
    """Return the outputs (N, O) that a network computes for many inputs, without gradients.

    The inputs are moved to the network's device, and the outputs are moved to the CPU.

    Args:
        network: the network, which is set to evaluation mode.
        inputs: the inputs, (N, *shape).
        batch: the number of inputs per forward pass.
    """
    network.eval()
    device = device_of(network)
    parts = (part.to(device) for part in split(inputs, batch))
    return torch.cat([network(with_channels_last(part, network)).cpu() for part in parts])
