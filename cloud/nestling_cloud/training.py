"""The training loop that every network here shares."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from nestling_cloud.errors import CloudError
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Recipe

# Two threads: more spin on small layers, and another count would sum in another order, so that
# the same seed gave another result.
TRAINING_THREADS = 2

BatchLoss = Callable[[torch.Tensor, int], torch.Tensor]


class TrainingError(CloudError):
    """A network that cannot learn from what it was given."""


def seeded(seed: int) -> torch.Generator:
    """Make training repeatable: threads, initial weights, and a generator for the rest."""
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
) -> None:
    """Minimise a loss with AdamW and a one-cycle learning rate (Smith & Topin 2019).

    Args:
        network: trained in place, left in evaluation mode.
        loss_of: `(indices of a batch, epoch) -> loss`.
        count: number of examples.
        recipe: epochs, batch and step sizes.
        generator: shuffles.
        progress: told every epoch.
        what: the step's name for a person.

    Raises:
        TrainingError: too few examples for a batch, or the loss is no longer finite.
    """
    if count < 2:
        raise TrainingError(f"{what}: {count} examples are too few to learn from")
    batch = min(recipe.batch, count)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = recipe.epochs * (count // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps
    )
    network.train()
    for epoch in progress.track(range(recipe.epochs), recipe.epochs, what):
        for indices in _batches(count, batch, generator):
            loss = loss_of(indices, epoch)
            if not torch.isfinite(loss):
                raise TrainingError(f"{what}: the loss is {loss.item()} in epoch {epoch + 1}")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
    network.eval()


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch]


@torch.no_grad()
def logits_of(network: nn.Module, inputs: torch.Tensor, batch: int = 512) -> torch.Tensor:
    """Logits of many inputs, in evaluation mode, without gradients."""
    network.eval()
    return torch.cat([network(part) for part in torch.split(inputs, batch)])
