"""Defines the options for distilling a student from its teacher."""

import itertools
import math
from dataclasses import dataclass
from typing import Literal, get_args

from nestling_cloud.errors import CloudError

Feature = Literal["none", "hints", "attention", "angular"]


class DistillationError(CloudError):
    """Raised when a distillation option has an invalid value, or does not suit the teacher."""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """The options of distillation, which set what a student learns from.

    In joint training, they apply to the largest capacity (size of the student). `Joint` sets how
    much each smaller capacity learns from the teacher and the labels, and how much from the
    answers of the largest capacity.

    Attributes:
        temperature: the temperature of the softmax on the logits of teacher and student (Hinton et
            al. 2015).
        weight: the weight of the loss on the teacher's answers, 0 to 1. The loss on the labels has
            the weight `1 - weight`.
        feature: the intermediate feature of the teacher that the student imitates as well.
            `nestling_cloud.learning.distillation.losses` describes the features.
        feature_weight: the weight of the feature loss. The loss on answers and labels has the
            weight 1. Good values were 1 to 5 for "hints", 0.3 for "attention" and 1 for "angular"
            (docs/lab-log.md).
        assistants: the decreasing widths of `ConvTeacher` networks between teacher and student.
            Each network learns from the network before it, and the student learns from the last
            network (Mirzadeh et al. 2020).
        views: the number of augmented copies of the training data. Epochs use the copies in turn,
            so the teacher has to answer each copy only once.
    """

    temperature: float = 2.0
    weight: float = 0.7
    feature: Feature = "none"
    feature_weight: float = 1.0
    assistants: tuple[int, ...] = ()
    views: int = 8

    def __post_init__(self) -> None:
        """Raise DistillationError if a value is outside its range."""
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise DistillationError(f"temperature {self.temperature}: choose a positive number")
        if not 0 <= self.weight <= 1:
            raise DistillationError(
                f"weight {self.weight}: choose 0 (labels only) to 1 (teacher only)"
            )
        if self.feature not in get_args(Feature):
            raise DistillationError(
                f"feature {self.feature!r}: choose one of {', '.join(get_args(Feature))}"
            )
        if not (self.feature_weight > 0 and math.isfinite(self.feature_weight)):
            raise DistillationError(
                f"feature_weight {self.feature_weight}: choose a positive number, "
                "or the feature 'none'"
            )
        if self.views < 1:
            raise DistillationError(f"views {self.views}: choose at least 1")
        self._check_assistants()

    def _check_assistants(self) -> None:
        widths = self.assistants
        if any(width < 1 for width in widths) or any(a <= b for a, b in itertools.pairwise(widths)):
            raise DistillationError(f"assistants {widths}: choose decreasing widths of at least 1")
        if widths and self.weight == 0:
            raise DistillationError(
                "assistants need the teacher's answers, but weight is 0: choose a weight above 0, "
                "or no assistants"
            )

    @property
    def asks_teacher(self) -> bool:
        """True if training needs the teacher's answers or features."""
        return self.weight > 0 or self.feature != "none"


BY_LOGITS = Distillation()
