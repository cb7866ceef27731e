"""The data that pruning and growing train on."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.loop import train
from nestling_cloud.learning.nesting.ring_training import FrozenNest
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import Task
from nestling_core.student.network import NestedStudent


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """A task's data with the teacher's answers.

    Attributes:
        task: student sizes and recipe.
        views: augmented inputs with the teacher's logits.
        train_inputs: the same inputs as recorded, (N, *shape).
        generator: for shuffling and drawing triplets.
        progress: shows each epoch.
    """

    task: Task
    views: AugmentedViews
    train_inputs: NDArray[np.float32]
    generator: torch.Generator
    progress: Progress

    def teach(
        self, student: NestedStudent, *, above: int, up_to: int, share: float, what: str
    ) -> None:
        """Train the weights that one capacity adds to a smaller one, by distillation.

        Args:
            student: changed in place.
            above: capacity whose weights stay fixed bit for bit; 0 for none.
            up_to: capacity to train.
            share: part of the recipe's epochs to train for.
            what: name of the phase, for progress and errors.

        Raises:
            TrainingError: the data is too small, or the loss is no longer finite.
        """
        views, recipe = self.views, self.task.student_recipe
        frozen = FrozenNest(student, self.task.signature, above=above, up_to=up_to)

        def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            frozen.restore()  # undo what the previous step moved
            batch = views.batch(epoch, indices)
            return answer_loss(student(batch.inputs, up_to), batch, views.distillation)

        train(
            student,
            loss_of,
            count=len(views.labels),
            recipe=dataclasses.replace(recipe, epochs=max(1, round(recipe.epochs * share))),
            generator=self.generator,
            progress=self.progress,
            what=what,
        )
        frozen.restore()
