"""Contains the parts of distillation, in which a small network learns from a large one.

These are the losses, the teacher's stored answers and the teacher assistants (networks whose size
is between teacher and student). This package may import the modules `loop`, `kind_losses`,
`input_tensors` and `torch_device` of `learning`, and `tasks`, `recipes` and `models`, but no other
package of `learning`.
"""

from nestling_cloud.learning.distillation.assistant import train_assistants
from nestling_cloud.learning.distillation.augmented_views import (
    AugmentedViews,
    Batch,
    augmented_copies,
    check_views_fit,
    make_views,
)
from nestling_cloud.learning.distillation.features import TeacherFeatureError, answers_of
from nestling_cloud.learning.distillation.objective import Objective, TeacherObjective
from nestling_cloud.learning.distillation.outliers import inputs_as_trained
from nestling_cloud.learning.distillation.view_tensors import ViewsError

__all__ = [
    "AugmentedViews",
    "Batch",
    "Objective",
    "TeacherFeatureError",
    "TeacherObjective",
    "ViewsError",
    "answers_of",
    "augmented_copies",
    "augmented_views",
    "check_views_fit",
    "inputs_as_trained",
    "make_views",
    "objective",
    "train_assistants",
    "view_tensors",
]
