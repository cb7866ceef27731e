"""Distill a small network from a large one: losses, cached teacher answers, assistants."""

from nestling_cloud.learning.distillation.assistant import train_assistants
from nestling_cloud.learning.distillation.augmented_views import AugmentedViews, Batch, make_views
from nestling_cloud.learning.distillation.features import TeacherFeatureError, check_teacher
from nestling_cloud.learning.distillation.objective import Objective, TeacherObjective
from nestling_cloud.recipes.distillation import Distillation, DistillationError

__all__ = [
    "AugmentedViews",
    "Batch",
    "Distillation",
    "DistillationError",
    "Objective",
    "TeacherFeatureError",
    "TeacherObjective",
    "augmented_views",
    "check_teacher",
    "make_views",
    "objective",
    "train_assistants",
]
