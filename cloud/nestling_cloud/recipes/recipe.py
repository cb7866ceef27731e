"""Defines the options of a network's training, such as its epochs and learning rate."""

import math
from dataclasses import dataclass
from typing import Literal

from nestling_cloud.errors import CloudError

Optimizer = Literal["adamw", "muon"]

# With layers of this project's sizes, more threads only spin.
TRAINING_THREADS = 2


class RecipeError(CloudError):
    """Raised when a recipe has a value outside its range."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The options of a network's training.

    Attributes:
        epochs: the number of passes over the training data.
        batch: the number of inputs in an optimizer step.
        learning_rate: the peak learning rate of the one-cycle schedule.
        weight_decay: the decoupled weight decay, as in AdamW.
        optimizer: "adamw", or "muon", which may need fewer epochs. Muon trains the weights with
            three or more axes (of convolutions and recurrent layers), and AdamW all others.
        patience: the number of epochs in a row without a better accuracy on held-out training data
            after which the training stops and keeps the best weights. With 0, nothing is held out
            and the training runs to the end. It always does so for assistants, grown students,
            quantization-aware fine-tuning and supernets.
        half: True to compute in bfloat16 if the processor has instructions for bfloat16, which is
            about twice as fast. Other processors compute in float32 and therefore learn different
            weights.
        threads: the number of processor threads. It is part of the recipe because it affects the
            order of sums. With another number, the same seed leads to a different result.
            Networks with a few thousand weights train faster with one thread.
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
        """Raise RecipeError if a value is outside its range."""
        if self.epochs < 1 or self.batch < 2 or self.threads < 1 or not self.learning_rate > 0:
            raise RecipeError(
                f"{self}: choose at least 1 epoch, batches of at least 2, at least 1 thread, and a "
                "positive learning rate"
            )
        if not (math.isfinite(self.learning_rate) and 0 <= self.weight_decay < math.inf):
            raise RecipeError(
                f"{self}: choose a finite learning rate and a finite weight decay from 0"
            )
        if self.optimizer not in {"adamw", "muon"}:
            raise RecipeError(f"optimizer {self.optimizer!r}: choose 'adamw' or 'muon'")
        if self.patience < 0:
            raise RecipeError(f"{self}: patience must be a number of epochs, or 0 for none")
