"""Defines the data that pruning, growing and the width search train on."""

import dataclasses

import torch

from nestling_cloud.learning.distillation.augmented_views import AugmentedViews
from nestling_cloud.learning.distillation.objective import answer_loss
from nestling_cloud.learning.loop import train
from nestling_cloud.learning.nesting.ring_training import FrozenNest
from nestling_cloud.learning.torch_device import device_of, training_device
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.inputs import Inputs
from nestling_cloud.tasks.task import Task
from nestling_core.student.network import NestedStudent


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """A task's training data with the teacher's answers.

    Attributes:
        task: the task, which sets the student's sizes and recipe.
        views: the augmented inputs with the teacher's logits.
        train_inputs: the same inputs without augmentation, (N, *shape).
        generator: the random generator for shuffling and other random choices.
        progress: the progress display, advanced once per epoch.
    """

    task: Task
    views: AugmentedViews
    train_inputs: Inputs
    generator: torch.Generator
    progress: Progress

    def teach(
        self, student: NestedStudent, *, above: int, up_to: int, share: float, what: str
    ) -> None:
        """Train, by distillation, the weights that one capacity adds to a smaller one.

        Args:
            student: the nested student, which is changed in place and left in evaluation mode.
            above: the smaller capacity, whose weights stay fixed bit for bit; 0 for none.
            up_to: the larger capacity, which runs during the training.
            share: the number of epochs to train for, as a share of the recipe's epochs.
            what: the name of the training in the progress display and in error messages.

        Raises:
            TrainingError: the data is too small, or the loss or a weight is no longer finite.
        """
        views, recipe = self.views, self.task.student_recipe
        frozen = FrozenNest(student, self.task.signature, above=above, up_to=up_to)

        def loss_of(indices: torch.Tensor, epoch: int) -> torch.Tensor:
            frozen.restore()  # undo what the previous step moved
            batch = views.batch(epoch, indices, device_of(student))
            return answer_loss(student(batch.inputs, up_to), batch, views.distillation)

        train(
            student,
            loss_of,
            count=len(views.labels),
            recipe=dataclasses.replace(recipe, epochs=max(1, round(recipe.epochs * share))),
            generator=self.generator,
            progress=self.progress,
            what=what,
            device=training_device(),
        )
        frozen.restore()
