"""Makes augmented copies of the training data, together with the teacher's answers to them."""

from dataclasses import dataclass

import torch
from torch import nn

from nestling_cloud.learning.distillation.features import answers_of
from nestling_cloud.learning.distillation.outliers import with_outliers
from nestling_cloud.learning.loop import precision
from nestling_cloud.recipes.distillation import BY_LOGITS, Distillation
from nestling_cloud.tasks.examples import Examples
from nestling_cloud.tasks.task import Task
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.labels import SINGLE_LABEL
from nestling_core.kinds.of_signature import kind_of


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The data of one training step.

    Attributes:
        inputs: the augmented inputs, (N, *shape).
        kind: the kind of the task, which determines the loss.
        labels: the true answers, (N, ...), as in `nestling_core.kinds.kind`.
        logits: the teacher's outputs, (N, O); None if the teacher is not used.
        features: the teacher's features, as in
            `nestling_cloud.learning.distillation.features.Answers`; None if no loss uses them.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None = None
    features: torch.Tensor | None = None
    kind: Kind = SINGLE_LABEL


@dataclass(frozen=True, kw_only=True)
class AugmentedViews:
    """Augmented copies of the training data with the teacher's answers to each copy.

    Attributes:
        kind: the kind of the task.
        distillation: the options that choose which of the teacher's outputs are used.
        inputs: the inputs of the V copies, (V, N, *shape).
        labels: the true answers, which all copies share, (N, ...).
        logits: the teacher's outputs, (V, N, O); None if the teacher is not used.
        features: the teacher's features in bfloat16, (V, N, ...); None if no loss uses them.
    """

    distillation: Distillation
    inputs: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None
    features: torch.Tensor | None
    kind: Kind = SINGLE_LABEL

    def batch(self, epoch: int, indices: torch.Tensor) -> Batch:
        """Return the chosen examples from the copy that is used in an epoch.

        The copies take turns, one per epoch.

        Args:
            epoch: the index of the epoch, from 0.
            indices: the indices of the examples, (N,).
        """
        view = epoch % len(self.inputs)
        return Batch(
            kind=self.kind,
            inputs=self.inputs[view][indices],
            labels=self.labels[indices],
            logits=None if self.logits is None else self.logits[view][indices],
            features=None if self.features is None else self.features[view][indices],
        )


def make_views(
    task: Task,
    teacher: nn.Module,
    examples: Examples,
    generator: torch.Generator,
    distillation: Distillation = BY_LOGITS,
) -> AugmentedViews:
    """Return augmented copies of the data with the teacher's answers to each copy.

    The teacher is run only if the distillation uses its outputs or its features. In an anomaly
    task, half of the copies are made unusual, so that the student also sees what the teacher says
    of anomalies.

    Args:
        task: the task, which provides the augmentation. The student's recipe decides whether the
            teacher computes in bfloat16.
        teacher: the trained teacher.
        examples: the data to augment.
        generator: the random generator for the augmentation.
        distillation: the number of copies, and which of the teacher's outputs are used.

    Raises:
        TeacherFeatureError: the teacher lacks the feature that the distillation compares.
    """
    inputs = torch.from_numpy(examples.inputs)
    kind = kind_of(task.signature)
    augment = with_outliers(task.augmented) if isinstance(kind, Anomaly) else task.augmented
    copies = [augment(inputs, generator) for _ in range(distillation.views)]
    asked = copies if distillation.asks_teacher else []
    shape = task.student.read_shape(task.signature.shape)
    with precision(task.student_recipe):
        answers = [answers_of(teacher, copy, distillation.feature, shape=shape) for copy in asked]
    features = [answer.features for answer in answers if answer.features is not None]
    return AugmentedViews(
        kind=kind,
        distillation=distillation,
        inputs=torch.stack(copies),
        labels=torch.from_numpy(examples.labels),
        logits=torch.stack([answer.logits for answer in answers]) if answers else None,
        features=torch.stack(features) if features else None,
    )
