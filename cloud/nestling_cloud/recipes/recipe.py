"""How long and in what steps a network learns."""

import math
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.errors import CloudError

Optimizer = Literal["adamw", "muon"]

# More spin on layers of this project's sizes.
TRAINING_THREADS = 2


class RecipeError(CloudError):
    """A recipe that teaches nothing."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and in what steps a network learns.

    Attributes:
        epochs: passes over the training data.
        batch: inputs a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: decoupled, as AdamW's.
        optimizer: "adamw", or "muon" for weights of three axes and more (convolutions, recurrent
            layers), which may take fewer epochs so; the others have AdamW even then.
        patience: epochs without a better accuracy on held-out training data after which learning
            stops; the best weights stay. 0 holds nothing out and goes on to the end, as assistants,
            grown students, fine-tuning on the grid and supernets always do.
        half: compute in bfloat16 where the processor has instructions for it, which is about twice
            as fast; elsewhere float32. So the two kinds of processors learn other weights.
        threads: of the processor, part of the recipe: another count sums in another order, so that
            the same seed gives another result. Networks of a few thousand weights learn faster
            with one.
    """

    epochs: int
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    patience: int = 0
    half: bool = False
    optimizer: Optimizer = "adamw"
    threads: int = TRAINING_THREADS

    def __post_init__(self) -> None:
        """Refuse a recipe that teaches nothing."""
        if self.epochs < 1 or self.batch < 2 or self.threads < 1 or not self.learning_rate > 0:
            raise RecipeError(
                f"{self}: at least 1 epoch, batches of 2, 1 thread, and a positive learning rate"
            )
        if not (math.isfinite(self.learning_rate) and 0 <= self.weight_decay < math.inf):
            raise RecipeError(f"{self}: learning rate and weight decay have to be finite")
        if self.optimizer not in {"adamw", "muon"}:
            raise RecipeError(f"optimizer {self.optimizer!r} is neither 'adamw' nor 'muon'")
        if self.patience < 0:
            raise RecipeError(f"{self}: patience is a number of epochs, or 0")
